#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/faults/fault_run.hpp"

using namespace mq;
using namespace mq::test;
namespace fs = std::filesystem;

namespace {

// The scenarios in which --resume matters, with a note after every tensor.
std::vector<Scenario> resumable() {
  std::vector<Scenario> found;
  for (Scenario& scenario : all_scenarios()) {
    if (!scenario.unnamed) continue;
    for (const char* option : {"--resume", "--journal-every", "1B"}) scenario.options.emplace_back(option);
    found.push_back(scenario);
  }
  return found;
}

Scenario without_resume(Scenario scenario) {
  scenario.options.resize(scenario.options.size() - 3);
  return scenario;
}

fs::path partial_of(const Stage& stage) {
  return stage.out().string() + ".partial";
}

// A run that was killed when most of its tensors had been noted.
void leave_partial(const Stage& stage, const CleanRun& resumable_run) {
  REQUIRE(stage.run("signal 9", resumable_run.publishes - 1).signal == SIGKILL);
  REQUIRE(fs::exists(partial_of(stage) / "journal"));
}

}  // namespace

TEST_CASE("--resume: a run goes on where the one before ended, however it ended, and ends with the same bytes") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : resumable()) {
    CAPTURE(scenario.name);
    const CleanRun plain(without_resume(scenario));
    const CleanRun clean(scenario);
    CHECK(clean.files == plain.files);
    const char* const actions[] = {"signal 9", "ENOSPC", "signal 15", "EIO"};
    for (const std::size_t at : chosen(clean.calls.size(), 48)) {
      const std::string action = actions[at % 4];
      CAPTURE(at);
      CAPTURE(clean.calls[at - 1]);
      CAPTURE(action);
      const Stage stage(scenario);
      const Outcome ended = stage.run(action, at);
      CAPTURE(ended.err);
      if (ended.exit_code > 0 && fs::exists(partial_of(stage))) {
        CHECK(contains(ended.err, "the same command goes on with what is kept in " + partial_of(stage).string()));
      }
      const bool taken = !scenario.replaces && fs::exists(stage.out());
      if (ended.exit_code != 0 && !taken) {
        const Outcome outcome = stage.run("", 0);
        CAPTURE(outcome.err);
        CHECK(outcome.exit_code == 0);
      }
      Files files = stage.files();
      // Killed when all but the tidying was done.
      if (taken) std::erase_if(files, [&](const auto& file) { return contains(file.first, ".partial"); });
      // What replaced something and was killed before it could remove it.
      std::erase_if(files, [&](const auto& file) { return file.first.ends_with(".tmp") && action == "signal 9"; });
      CHECK(files == plain.files);
    }
  }
}

TEST_CASE("--resume: tensors that were written are not written again") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : resumable()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    const Stage stage(scenario);
    leave_partial(stage, clean);
    const Outcome outcome = stage.run("", 0);
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.out, "resumed: "));
    CHECK_FALSE(contains(outcome.out, "resumed: 0 "));
    CHECK_FALSE(contains(outcome.out, "is damaged"));
    CHECK(stage.files() == clean.files);
  }
}

TEST_CASE("--resume: a run of other options or on another input is refused with the reason, and loses nothing") {
  if (!can_interpose()) return;
  for (Scenario scenario : resumable()) {
    CAPTURE(scenario.name);
    const TempDir dir;
    fs::copy_file(scenario.input, dir / "in.pt");
    scenario.input = (dir / "in.pt").string();
    const CleanRun clean(scenario);
    const Stage stage(scenario);
    leave_partial(stage, clean);
    const Files before = stage.files();
    const auto refused = [&](const std::vector<std::string>& more, const char* part) {
      CAPTURE(part);
      std::vector<std::string> command = {"quantize", scenario.input, stage.out().string(), "--overwrite"};
      command.insert(command.end(), scenario.options.begin(), scenario.options.end());
      command.insert(command.end(), more.begin(), more.end());
      const Outcome outcome = run_tool(command);
      CAPTURE(outcome.err);
      CHECK(outcome.exit_code == 2);
      CHECK(is_one_error_line(outcome.err));
      CHECK(contains(outcome.err, partial_of(stage).string() + ": belongs to a run with another " + part));
      CHECK(stage.files() == before);
    };
    refused({"--scheme", "int8:tensor"}, "option scheme");
    refused({"--sha256"}, "option digest");
    refused({"--rename", "head.weight=head.w"}, "option input");
    fs::last_write_time(scenario.input, fs::last_write_time(scenario.input) + std::chrono::seconds(7));
    refused({}, "input file in.pt");
  }
}

TEST_CASE("--resume: a journal that was not written whole, and data that is not what was written, are made again") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : resumable()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    for (const char* damage : {"cut", "noise", "empty", "data", "gone"}) {
      CAPTURE(damage);
      const Stage stage(scenario);
      leave_partial(stage, clean);
      const fs::path journal = partial_of(stage) / "journal";
      std::string text = read_file(journal);
      fs::path data = partial_of(stage) / "output";
      if (fs::is_directory(data)) data /= "model.safetensors";
      const std::string_view what = damage;
      if (what == "cut") write_file(journal, text.substr(0, text.size() - 40));
      if (what == "noise") write_file(journal, text + std::string("\0\n xxh3-128:00 {}\n", 18));
      if (what == "empty") write_file(journal, "");
      if (what == "data") write_file(data, std::string(fs::file_size(data), 'x'));
      if (what == "gone") fs::remove(data);
      const Outcome outcome = stage.run("", 0);
      CAPTURE(outcome.err);
      CHECK(outcome.exit_code == 0);
      CHECK(stage.files() == clean.files);
      CHECK(contains(outcome.out, "is damaged, and is made again") == (what == "data" || what == "gone"));
      // Zeros are what some tensors hold.
      if (what != "gone") CHECK(contains(outcome.out, "resumed: 0 ") == (what == "data" || what == "empty"));
    }
  }
}

TEST_CASE("--resume: two processes cannot work on one output") {
  if (!can_interpose()) return;
  for (const Scenario& scenario : resumable()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    const Stage stage(scenario);
    const TempDir other;
    const fs::path pipe = other / "pipe";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    RunningTool first = stage.start("wait", clean.publishes, pipe.string());
    const int opened = ::open(pipe.c_str(), O_WRONLY);
    const Outcome second = stage.run("", 0);
    CHECK(::write(opened, "", 1) == 1);
    ::close(opened);
    CHECK(second.exit_code == 5);
    CHECK(contains(second.err, "another process is working on this output"));
    CHECK(first.wait().exit_code == 0);
    CHECK(stage.files() == clean.files);
  }
}

TEST_CASE("--resume: is what --journal-every needs, and a dry run with it leaves nothing") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const std::string input = all_scenarios().front().input;
  const Outcome outcome = run_tool({"quantize", input, out, "--journal-every", "1MB"});
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.err, "--journal-every goes with --resume"));
  CHECK(run_tool({"quantize", input, out, "--resume", "--dry-run"}).exit_code == 0);
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("--resume: what a process left that was killed when its output had the name goes away, other folders stay") {
  const TempDir dir;
  const fs::path out = dir / "out.safetensors", partial = dir / "out.safetensors.partial";
  const std::string input = all_scenarios().front().input;
  REQUIRE(run_tool({"quantize", input, out.string()}).exit_code == 0);
  const auto names = names_in(dir.path());
  fs::create_directory(partial);
  write_file((partial / "journal").string(), "");
  write_file((partial / "mine").string(), "");
  CHECK(run_tool({"quantize", input, out.string(), "--resume"}).exit_code == 5);
  CHECK(fs::exists(partial / "mine"));
  fs::remove(partial / "mine");
  CHECK(run_tool({"quantize", input, out.string(), "--resume"}).exit_code == 5);
  CHECK(names_in(dir.path()) == names);
}
