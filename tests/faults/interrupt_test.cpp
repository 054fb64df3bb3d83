#include <doctest/doctest.h>

#include <csignal>

#include "tests/faults/fault_run.hpp"

using namespace mq;
using namespace mq::test;

namespace {

// The files of an output: itself, what is in it, what stands beside it. The rest are temporary.
Files of_output(const Files& files, const Scenario& scenario) {
  Files found;
  for (const auto& [name, content] : files) {
    if (name.starts_with(scenario.out)) found.emplace(name, content);
  }
  return found;
}

// Whether `files` are those of one state, or only some of them where several names cannot be taken at once.
bool is_part_of(const Files& files, const Files& state) {
  for (const auto& [name, content] : files) {
    const auto found = state.find(name);
    if (found == state.end() || found->second != content) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a process killed at any call leaves the old output or the new one, never a mixture") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : all_scenarios()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    for (const std::size_t at : chosen(clean.calls.size())) {
      CAPTURE(at);
      CAPTURE(clean.calls[at - 1]);
      const Stage stage(scenario);
      CHECK(stage.run("signal " + std::to_string(SIGKILL), at).signal == SIGKILL);
      const Files left = of_output(stage.files(), scenario);
      const bool is_old = is_part_of(left, stage.before()) && left.contains(scenario.out) == scenario.replaces;
      const bool is_new = is_part_of(left, clean.files) && left.contains(scenario.out);
      const bool before_new = !scenario.replaces && !left.contains(scenario.out) && is_part_of(left, clean.files);
      CHECK((is_old || is_new || before_new));
      if (scenario.is_directory()) CHECK((left == stage.before() || left == clean.files));
      // A file without a name goes with its process.
      if (scenario.unnamed && !scenario.is_directory() && (!scenario.replaces || at <= clean.publishes)) {
        CHECK(stage.files() == left);
      }
      if (at < clean.publishes && scenario.unnamed && !scenario.is_directory()) CHECK(left == stage.before());
    }
  }
}

TEST_CASE("a signal at any call ends the run with 128 + its number, and all is as it was") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : all_scenarios()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (const std::size_t at : chosen(clean.calls.size())) {
      const int signal = signals[at % 3];
      CAPTURE(at);
      CAPTURE(clean.calls[at - 1]);
      CAPTURE(signal);
      const Stage stage(scenario);
      const Outcome outcome = stage.run("signal " + std::to_string(signal), at);
      CAPTURE(outcome.err);
      // One that comes when names are taken already is too late: the output is whole.
      CHECK(outcome.exit_code == (at < clean.publishes ? 128 + signal : 0));
      CHECK(stage.files() == (at < clean.publishes ? stage.before() : clean.files));
      if (at < clean.publishes) CHECK(is_one_error_line(outcome.err));
    }
  }
}
