// --log-json, what a dry run says about cost, and the summary at the end.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

std::vector<json::Value> events_of(const Outcome& outcome) {
  std::vector<json::Value> events;
  std::string_view text = outcome.err;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    REQUIRE(end != std::string_view::npos);
    events.push_back(json::parse(text.substr(0, end), "stderr"));
    text.remove_prefix(end + 1);
  }
  return events;
}

}  // namespace

TEST_CASE("--log-json tells on stderr what happens, in order, and nothing else stands there") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const Outcome outcome = run_tool({"quantize", kCnn, out, "--log-json", "--scheme", "int2:channel"});
  REQUIRE(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "wrote: "));
  const std::vector<json::Value> events = events_of(outcome);
  CHECK(text_at(events.front(), {"event"}) == "start");
  CHECK(text_at(events.front(), {"input"}) == kCnn);
  CHECK(text_at(events[1], {"event"}) == "plan");
  CHECK(number_at(events[1], {"quantized"}) == 4);
  CHECK(text_at(events.back(), {"event"}) == "done");
  CHECK(text_at(events.back(), {"output"}) == out);
  double before = 0;
  std::set<std::string> tensors;
  int warnings = 0;
  for (const json::Value& event : events) {
    CHECK(number_at(event, {"seconds"}) >= before);
    before = number_at(event, {"seconds"});
    if (text_at(event, {"event"}) == "tensor") tensors.insert(text_at(event, {"name"}));
    if (text_at(event, {"event"}) == "warning" && contains(text_at(event, {"message"}), "below 10 dB")) ++warnings;
  }
  CHECK(tensors.size() == 23);
  CHECK(warnings > 0);
}

TEST_CASE("with --log-json errors are events, those of the command line too") {
  const TempDir dir;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"quantize", (dir / "none").string(), (dir / "out.safetensors").string(), "--log-json"},
        {"quantize", kCnn, "x", "--log-json", "--scheme", "int99"},
        {"quantize", (dir / "none").string(), (dir / "out.safetensors").string(), "--log-json", "--json"}}) {
    const Outcome outcome = run_tool(arguments);
    const std::vector<json::Value> events = events_of(outcome);
    REQUIRE(!events.empty());
    CHECK(text_at(events.back(), {"event"}) == "error");
    CHECK(number_at(events.back(), {"exit_code"}) == outcome.exit_code);
    CHECK(!text_at(events.back(), {"message"}).empty());
  }
}

TEST_CASE("without a terminal stderr stays empty") {
  const TempDir dir;
  CHECK(run_tool({"quantize", kCnn, (dir / "out.safetensors").string()}).err.empty());
}

TEST_CASE("a dry run says what the run will take of disk, memory and time, and writes nothing") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const Outcome text = run_tool({"quantize", kCnn, out, "--dry-run"});
  REQUIRE(text.exit_code == 0);
  for (const char* part : {"disk: ", " free in ", "memory: ", "time: about ", "dry run: nothing is written"}) {
    CAPTURE(part);
    CHECK(contains(text.out, part));
  }
  const json::Value dry = parse_output(run_tool({"quantize", kCnn, out, "--dry-run", "--json"}));
  CHECK(names_in(dir.path()).empty());
  const json::Value real = parse_output(run_tool({"quantize", kCnn, out, "--json"}));
  const double file = number_at(dry, {"cost", "file_bytes"});
  CHECK(file == static_cast<double>(std::filesystem::file_size(out)));
  CHECK(number_at(dry, {"plan", "file_bytes"}) == file);
  const double report = static_cast<double>(std::filesystem::file_size(out + ".quantization_metadata.json"));
  CHECK(report <= number_at(dry, {"cost", "report_bound_bytes"}));
  CHECK(number_at(dry, {"cost", "disk_needed_bytes"}) == file + number_at(dry, {"cost", "report_bound_bytes"}));
  CHECK(number_at(dry, {"cost", "disk_free_bytes"}) > 0);
  CHECK(number_at(dry, {"cost", "memory_bound_bytes"}) > 0);
  CHECK(number_at(dry, {"cost", "estimated_seconds"}) > 0);
  CHECK(number_at(real, {"cost", "memory_bound_bytes"}) == number_at(dry, {"cost", "memory_bound_bytes"}));
  CHECK(at(real, {"cost"}).find("estimated_seconds") == nullptr);
}

TEST_CASE("an output that its disk has no room for is refused before anything is written") {
  // A petabyte of zeros that takes no space: its output would take some hundred terabytes.
  const TempDir dir;
  const std::string in = (dir / "in.safetensors").string();
  write_file(in, safetensors_bytes(
                     R"({"layer.weight":{"dtype":"F32","shape":[268435456,4096],"data_offsets":[0,4398046511104]}})"));
  std::error_code too_large;
  std::filesystem::resize_file(in, std::filesystem::file_size(in) + 4398046511104, too_large);
  if (too_large || std::filesystem::space(dir.path()).available > 1000000000000) {
    std::printf("skipped: this file system holds no such file, or has room for its output\n");
    return;
  }
  const Outcome outcome = run_tool({"quantize", in, (dir / "out.safetensors").string()});
  CHECK(outcome.exit_code == 5);
  CHECK(contains(outcome.err, "not enough space for the output"));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"in.safetensors"});
  const Outcome dry = run_tool({"quantize", in, (dir / "out.safetensors").string(), "--dry-run"});
  CHECK(dry.exit_code == 0);
  CHECK(contains(dry.out, "NOT ENOUGH"));
}

TEST_CASE("the summary says how much was quantized, sizes, error, time and where it went") {
  const TempDir dir;
  const Outcome outcome = run_tool({"quantize", kCnn, (dir / "out.safetensors").string()});
  for (const char* part : {"quantized: 4 of 23 tensors, ", " bits per weight\n", "size: ", " before, ",
                           "total: ", ", the worst ", "time: ", "/s of input\n", "wrote: ", "loads in: "}) {
    CAPTURE(part);
    CHECK(contains(outcome.out, part));
  }
}

TEST_CASE("--max-memory takes fewer threads, changes no byte, and refuses what does not fit") {
  const TempDir dir;
  const std::string free = (dir / "free.safetensors").string(), bound = (dir / "bound.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, free, "--threads", "64"}).exit_code == 0);
  const json::Value one = parse_output(run_tool({"quantize", kCnn, "--dry-run", "--json", "--threads", "1"}));
  const auto need = static_cast<std::int64_t>(number_at(one, {"cost", "memory_bound_bytes"}));
  const Outcome outcome =
      run_tool({"quantize", kCnn, bound, "--threads", "64", "--json", "--max-memory", std::to_string(need)});
  REQUIRE(outcome.exit_code == 0);
  CHECK(number_at(parse_output(outcome), {"cost", "threads"}) == 1);
  CHECK(read_file(bound) == read_file(free));

  const Outcome refused = run_tool({"quantize", kCnn, (dir / "none.safetensors").string(), "--max-memory", "1MB"});
  CHECK(refused.exit_code == 6);
  CHECK(refused.err.find("may need more memory than it is given: expected at most 1000000 bytes (--max-memory)") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "none.safetensors"));
}
