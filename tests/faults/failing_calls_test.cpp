#include <doctest/doctest.h>

#include "tests/faults/fault_run.hpp"

using namespace mq;
using namespace mq::test;

TEST_CASE("a call that fails ends the run with code 5 and one line, and all is as it was") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : all_scenarios()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    for (const std::size_t at : chosen(clean.calls.size())) {
      for (const char* problem : {"EIO", "ENOSPC"}) {
        CAPTURE(at);
        CAPTURE(clean.calls[at - 1]);
        CAPTURE(problem);
        const Stage stage(scenario);
        const Outcome outcome = stage.run(problem, at);
        CAPTURE(outcome.err);
        CHECK(outcome.exit_code == 5);
        CHECK(is_one_error_line(outcome.err));
        CHECK(contains(outcome.err, "/folder/" + scenario.out));
        CHECK_FALSE(contains(outcome.err, ".tmp"));
        CHECK(stage.files() == stage.before());
      }
    }
  }
}

TEST_CASE("calls that signals interrupt and transfers that are short give the same bytes") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : all_scenarios()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    for (const char* what : {"EINTR", "short"}) {
      CAPTURE(what);
      const Stage stage(scenario);
      const Outcome outcome = stage.run(what, 0);
      CAPTURE(outcome.err);
      CHECK(outcome.exit_code == 0);
      CHECK(stage.files() == clean.files);
      CHECK(stage.calls().size() > clean.calls.size());
    }
  }
}
