#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/checkpoints.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

// Weights of three linear layers; the second one from `seed`.
std::string write_layers(const std::filesystem::path& path, std::uint32_t seed) {
  std::vector<NamedBytes> tensors;
  for (const char* name : {"a.proj.weight", "b.proj.weight", "c.proj.weight"}) {
    NamedBytes tensor = sample(name, DType::Float32, {96, 64});
    const std::vector<float> values = weights(96 * 64, *name == 'b' ? seed : 1);
    std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
    tensors.push_back(std::move(tensor));
  }
  write_checkpoint(path, "safetensors", tensors);
  return path.string();
}

// The output and the report of a run, whatever it is called.
std::pair<std::string, std::string> made(const std::string& out) {
  return {read_file(out), read_file(out + ".quantization_metadata.json")};
}

}  // namespace

TEST_CASE("--reuse: an output that takes its tensors from an old one is that of a fresh run, byte for byte") {
  const TempDir dir;
  const std::string old = (dir / "old.safetensors").string();
  const std::string out = (dir / "out.safetensors").string();
  for (const char* scheme : {"int8", "int8:tensor:asym", "int4:channel", "fp8_e4m3"}) {
    CAPTURE(scheme);
    REQUIRE(run_tool({"quantize", kCnn, old, "--scheme", scheme, "--overwrite"}).exit_code == 0);
    const Outcome outcome =
        run_tool({"quantize", kCnn, out, "--scheme", scheme, "--overwrite", "--reuse", old, "--json"});
    CAPTURE(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const json::Value value = parse_output(outcome);
    CHECK(number_at(value, {"result", "reused"}) ==
          static_cast<double>(at(value, {"result", "tensors"}).as_array()->size()));
    CHECK(number_at(value, {"result", "reused"}) > 0);
    CHECK(made(out) == made(old));
  }
}

TEST_CASE("--reuse: tensors whose input or encoding has changed are made again, also in the place of the old output") {
  const TempDir dir;
  const std::string before = write_layers(dir / "before.safetensors", 1);
  const std::string after = write_layers(dir / "after.safetensors", 2);
  const std::string old = (dir / "old.safetensors").string();
  const std::string fresh = (dir / "fresh.safetensors").string();
  const std::string out = (dir / "out.safetensors").string();
  const std::vector<std::string> rule = {"--scheme", "int4:g32", "--rule", "c.*=int8"};
  const auto run = [&](const std::string& in, const std::string& target, std::vector<std::string> options) {
    options.insert(options.begin(), {"quantize", in, target, "--overwrite"});
    const Outcome outcome = run_tool(options);
    CAPTURE(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome.out;
  };
  run(before, old, {"--scheme", "int4:g32"});
  run(after, fresh, rule);
  std::vector<std::string> reusing = rule;
  reusing.insert(reusing.end(), {"--reuse", old});
  CHECK(contains(run(after, out, reusing), "reused: 1 quantized tensor of "));
  CHECK(made(out) == made(fresh));
  CHECK(contains(run(after, old, reusing), "reused: 1 quantized tensor of "));
  CHECK(made(old) == made(fresh));
}

TEST_CASE("--reuse: tensors that were searched in another way are made again") {
  const TempDir dir;
  const std::string old = (dir / "old.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, old, "--scheme", "int4:channel"}).exit_code == 0);
  const auto reused = [&](std::vector<std::string> options) {
    const std::string out = (dir / "out.safetensors").string();
    options.insert(options.begin(),
                   {"quantize", kCnn, out, "--scheme", "int4:channel", "--reuse", old, "--overwrite", "--json"});
    return number_at(parse_output(run_tool(options)), {"result", "reused"});
  };
  CHECK(reused({}) > 0);
  CHECK(reused({"--effort", "fast"}) == 0);
  CHECK(reused({"--objective", "x2"}) == 0);
}

TEST_CASE("--reuse: what has no report, or one of another version, is refused") {
  const TempDir dir;
  const std::string old = (dir / "old.safetensors").string();
  const std::string out = (dir / "out.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, old}).exit_code == 0);
  const std::string report = old + ".quantization_metadata.json";
  std::string text = read_file(report);
  const std::size_t version = text.find("\"tool_version\": \"");
  REQUIRE(version != std::string::npos);
  write_file(report, text.insert(version + 17, "9"));
  const auto refused = [&](const char* part) {
    const Outcome outcome = run_tool({"quantize", kCnn, out, "--reuse", old});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, part));
    CHECK_FALSE(std::filesystem::exists(out));
  };
  refused("made by another version");
  std::filesystem::remove(report);
  refused("quantization_metadata.json beside it");
}
