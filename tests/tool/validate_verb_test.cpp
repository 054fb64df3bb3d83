#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "mq/mq.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

// Where a tensor's data begins in a safetensors file.
std::size_t data_offset(const std::string& file, const std::string& tensor) {
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  const json::Value value = json::parse(file.substr(8, header), "header");
  return 8 + header + static_cast<std::size_t>(*(*at(value, {tensor, "data_offsets"}).as_array())[0].as_int());
}

}  // namespace

TEST_CASE("what quantize writes is valid") {
  const TempDir dir;
  for (const char* scheme : {"int8", "int4:g16:asym", "int3:channel", "fp8_e4m3", "fp8_e5m2:tensor", "uint8:asym",
                             "bf16", "int8+int8:token:dyn"}) {
    CAPTURE(scheme);
    const std::string out = (dir / "q.safetensors").string();
    REQUIRE(run_tool({"quantize", kCnn, out, "--scheme", scheme, "--overwrite"}).exit_code == 0);
    const Outcome outcome = run_tool({"validate", out});
    CAPTURE(outcome.out);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out.starts_with("ok: 23 tensors checked"));
  }
}

TEST_CASE("a zero scale and an infinite one are found by name, with code 4") {
  const TempDir dir;
  const std::string out = (dir / "q.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, out}).exit_code == 0);
  const std::string good = read_file(out);
  struct Case {
    float scale;
    const char* finding;
  };
  for (const Case& c : {Case{0, "1 of 64 scales are zero"}, Case{INFINITY, "1 of 64 scales are not finite"}}) {
    CAPTURE(c.finding);
    std::string bad = good;
    std::memcpy(bad.data() + data_offset(bad, "fc1.weight_scale"), &c.scale, sizeof c.scale);
    write_file(out, bad);
    const Outcome outcome = run_tool({"validate", out});
    CHECK(outcome.exit_code == 4);
    CHECK(contains(outcome.out, std::string("failure: fc1.weight: ") + c.finding));
    CHECK(contains(outcome.out, "not ok: "));
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, "fc1.weight"));
    const json::Value value = parse_output(run_tool({"validate", out, "--json"}));
    CHECK(text_at(value, {"error", "tensor"}) == "fc1.weight");
    CHECK(at(value, {"validation", "findings"}).as_array()->size() == 1);
  }
}
