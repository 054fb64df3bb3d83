// Every source to every destination: what the table of the README promises.
#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;
namespace fs = std::filesystem;

namespace {

// A row or a column of the table: a container and how weights are stored in it.
struct Kind {
  const char* title;  // in the table
  const char* name;   // of a folder or, with a suffix, of a file
  std::vector<std::string> options;
  double least_db;  // of weights against those of the source
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kAll = {
      {"compressed-tensors", "ct-int4", {"--scheme", "int4:g32"}, 16},
      {"compressed-tensors", "ct-int8", {"--scheme", "int8"}, 38},
      {"compressed-tensors", "ct-fp8", {"--scheme", "fp8_e4m3"}, 28},
      {"compressed-tensors", "ct-nvfp4", {"--scheme", "nvfp4"}, 16},
      {"compressed-tensors", "ct-mxfp4", {"--scheme", "mxfp4"}, 15},
      {"compressed-tensors", "ct-mxfp8", {"--scheme", "mxfp8"}, 28},
      {"GPTQ", "gptq", {"--scheme", "int4:g32", "--dialect", "gptq"}, 16},
      {"GPTQ", "gptq2", {"--scheme", "int4:g32:asym", "--dialect", "gptq_v2"}, 18},
      {"AWQ", "awq", {"--scheme", "int4:g32:asym", "--dialect", "awq"}, 18},
      {"bitsandbytes", "nf4", {"--scheme", "nf4:g32", "--dialect", "bitsandbytes"}, 18},
      {"bitsandbytes", "fp4", {"--scheme", "fp4:g32", "--dialect", "bitsandbytes"}, 15},
      {"bitsandbytes", "llm-int8", {"--scheme", "int8", "--dialect", "bitsandbytes"}, 38},
      {"bitsandbytes", "nf4-dq", {"--scheme", "nf4:g32:dq", "--dialect", "bitsandbytes"}, 18},
      {"FP8 blocks", "fp8-blocks", {"--scheme", "fp8_e4m3:b32x32", "--dialect", "fp8_blocks"}, 28},
      {"GGUF", "q8_0.gguf", {"--scheme", "q8_0"}, 38},
      {"GGUF", "q4_0.gguf", {"--scheme", "q4_0"}, 16},
      {"ComfyUI", "comfy-fp8.safetensors", {"--scheme", "fp8_e4m3:tensor", "--dialect", "comfyui"}, 26},
      {"ComfyUI", "comfy-nvfp4.safetensors", {"--scheme", "nvfp4", "--dialect", "comfyui"}, 16},
      {"torchao", "torchao-int8", {"--scheme", "int8", "--dialect", "torchao"}, 38},
      {"torchao", "torchao-int4", {"--scheme", "int4:g32", "--dialect", "torchao"}, 16},
      {"quanto", "quanto-int8", {"--scheme", "int8", "--dialect", "quanto"}, 38},
      {"mono_quant", "own-int8", {"--scheme", "int8_outliers:o4", "--dialect", "mono_quant"}, 38},
      {"PyTorch", "int8.pt", {"--scheme", "int8"}, 38},
      {"floats", "f16.safetensors", {"--scheme", "fp16"}, 60},
      {"floats", "f16.pt", {"--scheme", "fp16"}, 60},
  };
  return kAll;
}

const fs::path kModel = data_dir() / "llama";

void quantize(const fs::path& from, const fs::path& to, const Kind& kind) {
  std::vector<std::string> command = {"quantize", from.string(), to.string(), "--no-sync"};
  command.insert(command.end(), kind.options.begin(), kind.options.end());
  const Outcome outcome = run_tool(command);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
}

void check_pair(const fs::path& from, const fs::path& to, const Kind& kind) {
  quantize(from, to, kind);
  const auto source = open_checkpoint(from), made = open_checkpoint(to);
  const Comparison found = compare(*source, *made, serial_executor());
  CHECK(found.missing.empty());
  CHECK(found.extra.empty());
  CHECK(found.different.empty());
  CHECK(found.total.numel > 0);
  CHECK(found.total.sqnr_db() > kind.least_db);
  const Validation validation = validate(*made, serial_executor());
  for (const Finding& finding : validation.findings) MESSAGE(finding.message);
  CHECK(validation.ok());
}

}  // namespace

TEST_CASE("every source to every destination, read back, compared with the source and validated") {
  const TempDir dir;
  std::vector<fs::path> sources = {kModel};
  for (const Kind& kind : kinds()) {
    sources.push_back(dir / ("from-" + std::string(kind.name)));
    quantize(kModel, sources.back(), kind);
  }
  // Minutes with AddressSanitizer, which tries each source and each destination with a fifth of the others.
  const std::size_t stride = kAddressSanitizer ? 5 : 1;
  std::size_t pair = 0;
  for (const fs::path& source : sources) {
    for (const Kind& kind : kinds()) {
      if (pair++ % stride != 0) continue;
      CAPTURE(source.filename().string());
      CAPTURE(kind.name);
      const fs::path out = dir / kind.name;
      check_pair(source, out, kind);
      fs::remove_all(out);
      fs::remove(out.string() + ".quantization_metadata.json");
    }
  }
}

TEST_CASE("the table of the README has a row and a column for each layout that is tried") {
  std::vector<std::string> titles;
  for (const Kind& kind : kinds()) {
    if (std::ranges::find(titles, kind.title) == titles.end()) titles.emplace_back(kind.title);
  }
  const std::string readme = read_file(source_dir() / "README.md");
  std::string header = "| from \\ to |";
  for (const std::string& title : titles) header += " " + title + " |";
  CHECK(readme.find(header + "\n") != std::string::npos);
  for (const std::string& title : titles) {
    std::string row = "| " + title + " |";
    for (std::size_t i = 0; i < titles.size(); ++i) row += " ✓ |";
    CAPTURE(row);
    CHECK(readme.find(row + "\n") != std::string::npos);
  }
}
