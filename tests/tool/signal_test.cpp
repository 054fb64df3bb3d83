#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/support/checkpoints.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

// A gigabyte of zeros that takes no space: long enough to be interrupted.
std::string write_large_file(const TempDir& dir) {
  const std::string path = (dir / "large.safetensors").string();
  write_file(path, safetensors_bytes(
                       R"({"layer.weight":{"dtype":"F32","shape":[65536,4096],"data_offsets":[0,1073741824]}})"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + 1073741824);
  return path;
}

// Sends the signal once the tool has begun to write.
Outcome interrupt(const TempDir& dir, const std::vector<std::string>& arguments, int signal) {
  RunningTool tool(arguments);
  for (int i = 0; i < 20000 && !tool.has_opened(dir.path(), arguments[1]); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  tool.send(signal);
  return tool.wait();
}

}  // namespace

TEST_CASE("a signal ends a conversion with 128 + its number and leaves nothing behind") {
  const TempDir dir;
  const std::string input = write_large_file(dir);
  const std::vector<std::string> before = names_in(dir.path());
  struct Case {
    int signal;
    const char* out;
  };
  for (const Case& c : {Case{SIGINT, "out.safetensors"}, Case{SIGTERM, "out"}, Case{SIGHUP, "out.safetensors"}}) {
    CAPTURE(c.signal);
    const Outcome outcome = interrupt(
        dir, {"quantize", input, (dir / c.out).string(), "--scheme", "int2:channel", "--threads", "1"}, c.signal);
    CAPTURE(outcome.out);
    CHECK(outcome.exit_code == 128 + c.signal);
    CHECK(is_one_error_line(outcome.err));
    CHECK(names_in(dir.path()) == before);
  }
}

TEST_CASE("a signal that comes in the first of two passes ends the run too") {
  const TempDir dir;
  const std::string input = write_large_file(dir);
  const std::vector<std::string> before = names_in(dir.path());
  const Outcome outcome = interrupt(
      dir, {"quantize", input, (dir / "out.safetensors").string(), "--scheme", "int8:tensor", "--json"}, SIGINT);
  CHECK(outcome.exit_code == 130);
  CHECK(text_at(parse_output(outcome), {"error", "code"}) == "cancelled");
  CHECK(names_in(dir.path()) == before);
}
