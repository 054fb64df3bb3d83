// Targets that are no place for an output, and outputs that others write at the same time.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "tests/faults/fault_run.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using namespace mq::test;
namespace fs = std::filesystem;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

// While it lives, permissions bind the programs that this process starts even if it belongs to root.
class PlainRoot {
 public:
  PlainRoot() : before_(prctl(PR_GET_SECUREBITS)) { prctl(PR_SET_SECUREBITS, before_ | SECBIT_NOROOT); }
  ~PlainRoot() { prctl(PR_SET_SECUREBITS, before_); }
  PlainRoot(const PlainRoot&) = delete;
  PlainRoot& operator=(const PlainRoot&) = delete;

 private:
  int before_;
};

}  // namespace

TEST_CASE("targets that are no files, and folders that are missing, are refused with code 5") {
  const TempDir dir;
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  fs::create_symlink("/dev/full", dir / "full.safetensors");
  fs::create_directory(dir / "folder.safetensors");
  write_file(dir / "folder.safetensors" / "thesis.tex", "years of work");
  write_file(dir / "file", "precious");
  const auto before = snapshot(dir.path());
  const auto refused = [&](const std::string& out, const std::string& part) {
    CAPTURE(out);
    const Outcome outcome = run_tool({"quantize", kCnn, out, "--to", "safetensors", "--overwrite"});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 5);
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, part));
    CHECK(snapshot(dir.path()) == before);
  };
  refused("/dev/full", "/dev/full");
  refused((dir / "full.safetensors").string(), "not a regular file");
  refused((dir / "pipe").string(), "pipe");
  refused((dir / "folder.safetensors").string(), "holds no weights");
  refused((dir / "file").string(), "not a directory");
  refused((dir / "absent" / "out.safetensors").string(), "no such folder");
  refused((dir / "absent" / "out").string(), "no such folder");
}

TEST_CASE("a folder that may not be written to is refused with code 5") {
  const TempDir dir;
  fs::create_directory(dir / "folder");
  fs::permissions(dir / "folder", fs::perms::owner_read | fs::perms::owner_exec);
  for (const char* out : {"out.safetensors", "out"}) {
    CAPTURE(out);
    const std::string path = (dir / "folder" / out).string();
    Outcome outcome;
    {
      const PlainRoot bound;
      outcome = run_tool({"quantize", kCnn, path});
    }
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 5);
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, path));
    CHECK(names_in(dir / "folder").empty());
  }
  fs::permissions(dir / "folder", fs::perms::owner_all);
}

TEST_CASE("an empty folder is a place for an output, one that holds something is not") {
  const TempDir dir;
  fs::create_directory(dir / "out");
  CHECK(run_tool({"quantize", kCnn, (dir / "out").string()}).exit_code == 0);
  const auto before = snapshot(dir.path());
  CHECK(fs::exists(dir / "out" / "model.safetensors"));
  CHECK(run_tool({"quantize", kCnn, (dir / "out").string()}).exit_code == 5);
  CHECK(snapshot(dir.path()) == before);
}

TEST_CASE("what stands beside an output or in it is not an input, under any name") {
  const TempDir dir;
  const fs::path input = dir / "m.safetensors";
  fs::copy_file(data_dir() / "cnn" / "cnn.safetensors", input);
  const std::string out = (dir / "out.safetensors").string();
  fs::create_hard_link(input, out + ".quantization_metadata.json");
  fs::create_directory(dir / "model");
  fs::copy_file(input, dir / "model" / "model.safetensors");
  write_file(dir / "model" / "config.json", "{}");
  fs::create_hard_link(dir / "model" / "config.json", dir / "asset.safetensors");
  fs::create_hard_link(dir / "model" / "model.safetensors", dir / "shard.safetensors");
  const auto before = snapshot(dir.path());
  const auto refused = [&](const fs::path& in, const std::string& target) {
    CAPTURE(target);
    const Outcome outcome = run_tool({"quantize", in.string(), target, "--overwrite"});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, "is a file of the input"));
    CHECK(snapshot(dir.path()) == before);
  };
  refused(input, out);
  refused(dir / "model", (dir / "asset.safetensors").string());
  refused(dir / "model", (dir / "shard.safetensors").string());
}

TEST_CASE("two processes on one target: the first to finish wins, the other one is told and leaves nothing") {
  if (!can_interpose()) return;
  for (Scenario scenario : all_scenarios()) {
    CAPTURE(scenario.name);
    const CleanRun clean(scenario);
    const Stage stage(scenario);
    const TempDir other;
    const fs::path pipe = other / "pipe";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    // The one waits before it gives its output a name; meanwhile the other one does all its work.
    RunningTool first = stage.start("wait", clean.publishes, pipe.string());
    const int opened = ::open(pipe.c_str(), O_WRONLY);
    const Outcome second = stage.run("", 0);
    CHECK(::write(opened, "", 1) == 1);
    ::close(opened);
    const Outcome outcome = first.wait();
    CAPTURE(outcome.err);
    CHECK(second.exit_code == 0);
    CHECK(outcome.exit_code == (scenario.replaces ? 0 : 5));
    CHECK(stage.files() == clean.files);
  }
}

TEST_CASE("the bytes of an output do not depend on the number of threads") {
  const TempDir dir;
  std::map<std::string, std::string> first;
  for (const char* threads : {"1", "2", "7", "64"}) {
    CAPTURE(threads);
    const std::string out = (dir / "out.safetensors").string();
    REQUIRE(run_tool({"quantize", kCnn, out, "--threads", threads, "--overwrite", "--scheme", "int4:g16:asym",
                      "--if-indivisible", "channel"})
                .exit_code == 0);
    if (first.empty()) first = snapshot(dir.path());
    CHECK(snapshot(dir.path()) == first);
  }
}
