// --target-* and --candidates: what they make of an output, and what they refuse.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

Outcome quantize(const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"quantize", kCnn, out, "--json", "--candidates", "int3:g16,int4:g16,int8"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_tool(arguments);
}

void check_usage(std::vector<std::string> more, const char* part) {
  const TempDir dir;
  const Outcome outcome = quantize((dir / "o.safetensors").string(), std::move(more));
  CAPTURE(outcome.out);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.out.find(part) != std::string::npos);
  CHECK(std::filesystem::is_empty(dir.path()));
}

}  // namespace

TEST_CASE("an output within a budget says what was measured, and its recipe makes it again") {
  const TempDir dir;
  const std::string out = (dir / "a.safetensors").string();
  const Outcome outcome = quantize(out, {"--target-bpw", "5.5"});
  REQUIRE(outcome.exit_code == 0);
  const json::Value result = parse_output(outcome);
  CHECK(number_at(result, {"plan", "quantized", "bits_per_weight"}) <= 5.5);
  CHECK(number_at(result, {"plan", "quantized", "bits_per_weight"}) > 5);
  const json::Array& tensors = *result.find("candidates")->as_array();
  REQUIRE(!tensors.empty());
  for (const json::Value& tensor : tensors) {
    int chosen = 0;
    for (const json::Value& candidate : *tensor.find("candidates")->as_array()) {
      chosen += *candidate.find("chosen")->as_bool() ? 1 : 0;
    }
    CHECK(chosen == 1);
  }
  const std::string again = (dir / "b.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, again, "--recipe", out + ".quantization_metadata.json"}).exit_code == 0);
  CHECK(read_file(again) == read_file(out));
}

TEST_CASE("a dry run with --measure shows a table, with a target and without") {
  for (const bool target : {true, false}) {
    std::vector<std::string> arguments = {"quantize", kCnn, "--dry-run", "--measure", "--candidates", "int4:g16,int8"};
    if (target) arguments.insert(arguments.end(), {"--target-sqnr", "30"});
    const Outcome outcome = run_tool(arguments);
    CAPTURE(outcome.out);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out.find("bits per weight") != std::string::npos);
    CHECK(outcome.out.find("fc1.weight") != std::string::npos);
    CHECK(outcome.out.find('*') != std::string::npos);
  }
}

TEST_CASE("targets that exclude each other, cannot be read or cannot be reached") {
  check_usage({"--target-bpw", "5", "--scheme", "int4"}, "exclude");
  check_usage({"--target-bpw", "5", "--target-sqnr", "30"}, "exclude");
  check_usage({"--target-bpw", "five"}, "bad budget");
  check_usage({"--target-bpw", "1"}, "no choice among the candidates");
  check_usage({"--target-size", "1000"}, "bytes at least");
  check_usage({"--to", "gguf", "--mix", "q4_k_m", "--target-bpw", "5"}, "a mix chooses the encodings itself");
}
