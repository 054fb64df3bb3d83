#include <doctest/doctest.h>

#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kMobile = (data_dir() / "cnn" / "mobile.pt").string();

std::string quantized(const TempDir& dir, const std::string& scheme) {
  const std::string out = (dir / "q.safetensors").string();
  const Outcome outcome = run_tool({"quantize", kMobile, out, "--scheme", scheme, "--min-numel", "0", "--overwrite"});
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return out;
}

}  // namespace

TEST_CASE("one scale for a depthwise convolution loses channels, and compare makes that plain to see") {
  const TempDir dir;
  const std::string out = quantized(dir, "int8:tensor");
  const Outcome outcome = run_tool({"compare", kMobile, out});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "!  blocks.4.dw.weight"));
  CHECK(contains(outcome.out, "is nearly lost (0.0 dB) although the tensor as a whole has 3"));
  CHECK(contains(outcome.out, ":channel"));
  // Every tensor passes a limit that its channels miss.
  CHECK(run_tool({"compare", kMobile, out, "--min-sqnr", "30"}).exit_code == 0);
  const Outcome gated = run_tool({"compare", kMobile, out, "--min-channel-sqnr", "10"});
  CHECK(gated.exit_code == 4);
  CHECK(contains(gated.err,
                 "mq-convert: tensor blocks.4.dw.weight: channel 14: SQNR below the limit: expected at least "
                 "10 dB (--min-channel-sqnr), found 0.0 dB\n"));
}

TEST_CASE("one scale per channel keeps every channel above 39 dB") {
  const TempDir dir;
  const Outcome outcome =
      run_tool({"compare", kMobile, quantized(dir, "int8"), "--min-sqnr", "39", "--min-channel-sqnr", "39"});
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(!contains(outcome.out, "!"));
  CHECK(contains(outcome.out, "total: "));
}

TEST_CASE("a limit that is missed is code 4 with one line for each tensor, and in JSON an error beside the figures") {
  const TempDir dir;
  const std::string out = quantized(dir, "int4:channel");
  const Outcome text = run_tool({"compare", kMobile, out, "--min-sqnr", "60"});
  CHECK(text.exit_code == 4);
  CHECK(std::count(text.err.begin(), text.err.end(), '\n') == 12);
  const Outcome outcome = run_tool({"compare", kMobile, out, "--min-sqnr", "60", "--json"});
  CHECK(outcome.exit_code == 4);
  CHECK(outcome.err.empty());
  const json::Value value = parse_output(outcome);
  CHECK(*at(value, {"ok"}).as_bool() == false);
  CHECK(text_at(value, {"error", "code"}) == "mismatch");
  CHECK(at(value, {"errors"}).as_array()->size() == 12);
  CHECK(at(value, {"comparison", "tensors"}).as_array()->size() >= 12);
}

TEST_CASE("tensors that one side has not are named, and fail a limit") {
  const std::string cnn = (data_dir() / "cnn" / "cnn.pt").string();
  const Outcome outcome = run_tool({"compare", cnn, kMobile});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "missing (23): "));
  CHECK(contains(outcome.out, "extra (68): "));
  CHECK(run_tool({"compare", cnn, kMobile, "--min-sqnr", "10"}).exit_code == 4);
}

TEST_CASE("a checkpoint compared with itself is exact") {
  const Outcome outcome = run_tool({"compare", kMobile, kMobile, "--min-sqnr", "100", "--min-channel-sqnr", "100"});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "68 tensors without any error"));
  CHECK(contains(outcome.out, "total: exact"));
}
