// --for and --stats: presets of programs on the command line, and what validate holds against them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kLlama = (data_dir() / "llama").string();
const std::string kRanges = (data_dir() / "llama_ranges.safetensors").string();
const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

Outcome quantize(const std::string& in, const std::string& out, std::initializer_list<std::string> more) {
  std::vector<std::string> arguments = {"quantize", in, out, "--no-sync"};
  arguments.insert(arguments.end(), more);
  return run_tool(arguments);
}

void check_refused(const Outcome& outcome, std::string_view part) {
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("presets of llama.cpp are its mixes and blocks, and GGUF files") {
  const TempDir dir;
  const std::string preset = (dir / "preset.gguf").string(), mix = (dir / "mix.gguf").string();
  for (const char* name : {"q4_k_m", "q8_0"}) {
    CAPTURE(name);
    REQUIRE(quantize(kLlama, preset, {"--for", std::string("llama.cpp:") + name, "--overwrite"}).exit_code == 0);
    REQUIRE(quantize(kLlama, mix, {"--mix", name, "--overwrite"}).exit_code == 0);
    CHECK(read_file(preset) == read_file(mix));
    CHECK(run_tool({"validate", preset, "--for", "llama.cpp"}).exit_code == 0);
  }
  check_refused(quantize(kLlama, preset, {"--for", "llama.cpp:q4_k_m", "--mix", "q8_0", "--overwrite"}), "--mix");
  check_refused(quantize(kLlama, preset, {"--for", "llama.cpp:q4_k_m", "--scheme", "q4_k", "--overwrite"}), "--scheme");
  check_refused(quantize(kLlama, (dir / "x.safetensors").string(), {"--for", "llama.cpp:q8_0"}), "gguf");
  check_refused(quantize(kCnn, (dir / "x.gguf").string(), {"--for", "llama.cpp:q8_0"}), "architecture");
}

TEST_CASE("validate holds files against the rules of single-file programs") {
  const TempDir dir;
  const std::string file = (dir / "c.safetensors").string();
  REQUIRE(quantize(kLlama, file, {"--for", "comfyui:nvfp4"}).exit_code == 0);
  CHECK(run_tool({"validate", file, "--for", "comfyui"}).exit_code == 0);
  const Outcome other = run_tool({"validate", file, "--for", "llama.cpp"});
  CHECK(other.exit_code == 4);
  CHECK(other.out.find("gguf") != std::string::npos);
  REQUIRE(quantize(kCnn, (dir / "n.gguf").string(), {"--scheme", "q8_0", "--if-indivisible", "keep"}).exit_code == 0);
  CHECK(run_tool({"validate", (dir / "n.gguf").string(), "--for", "llama.cpp"}).exit_code == 4);
}

TEST_CASE("static activations take their ranges from --stats, and say so in the report") {
  const TempDir dir;
  const std::string out = (dir / "out").string();
  check_refused(quantize(kLlama, out, {"--for", "vllm:w8a8-static"}), "--stats");
  check_refused(quantize(kLlama, out, {"--scheme", "int8", "--stats", kRanges}), "static activations");
  check_refused(quantize(kLlama, out, {"--for", "vllm:w8a8-static", "--stats", kCnn}), "has no ranges");
  const Outcome run = quantize(kLlama, out, {"--for", "transformers:w8a8-static", "--stats", kRanges});
  CAPTURE(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(read_file(out + "/quantization_metadata.json").find("\"input_range\"") != std::string::npos);
  CHECK(run_tool({"info", out}).out.find(":static") != std::string::npos);
  CHECK(run_tool({"validate", out, "--for", "transformers"}).exit_code == 0);
  CHECK(run_tool({"compare", kLlama, out, "--min-sqnr", "35"}).exit_code == 0);
}

TEST_CASE("presets of torchao and quanto: folders that validate, with what those programs read beside the weights") {
  const TempDir dir;
  const std::string ao = (dir / "ao").string(), quanto = (dir / "quanto").string();
  const Outcome made = quantize(kLlama, ao, {"--for", "torchao:int8-dynamic", "--json"});
  REQUIRE(made.exit_code == 0);
  CHECK(made.out.find("\"transformers\"") != std::string::npos);
  CHECK(read_file(dir / "ao" / "config.json").find("Int8DynamicActivationInt8WeightConfig") != std::string::npos);
  CHECK(run_tool({"validate", ao, "--for", "torchao"}).exit_code == 0);
  REQUIRE(quantize(ao, quanto, {"--for", "quanto:fp8"}).exit_code == 0);
  CHECK(read_file(dir / "quanto" / "quanto_qmap.json").find("qfloat8_e4m3fn") != std::string::npos);
  CHECK(read_file(dir / "quanto" / "config.json").find("quantization_config") == std::string::npos);
  CHECK(run_tool({"validate", quanto, "--for", "quanto"}).exit_code == 0);
  CHECK(run_tool({"validate", quanto, "--for", "vllm"}).exit_code == 4);
  // Neither map nor descriptions outlive the layout.
  const std::string plain = (dir / "plain").string();
  REQUIRE(run_tool({"dequantize", quanto, plain, "--no-sync"}).exit_code == 0);
  CHECK(!std::filesystem::exists(dir / "plain" / "quanto_qmap.json"));
  CHECK(run_tool({"compare", kLlama, plain, "--min-sqnr", "25"}).exit_code == 0);
  check_refused(quantize(kLlama, (dir / "no").string(), {"--for", "quanto:int8", "--scheme", "int4:g32"}), "int8");
  check_refused(quantize(kLlama, (dir / "no.safetensors").string(), {"--for", "torchao:int8"}), "model folders");
}
