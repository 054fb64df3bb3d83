#include "mq/destination.hpp"

#include <algorithm>
#include <array>

#include "src/nearest.hpp"
#include "src/runtime_rules.hpp"

namespace mq {
namespace {

constexpr std::string_view kFolder = "hf_safetensors";
constexpr std::string_view kCompressed = "compressed_tensors";
constexpr std::string_view kTorchFile = "torch_zip";
constexpr std::string_view kTorch = "torch_quantized";

constexpr std::array kRows{
    Destination{"vllm", "w4a16", "int4:g128", kCompressed, kFolder, "4-bit integers in groups of 128"},
    Destination{"vllm", "w8a16", "int8", kCompressed, kFolder, "8-bit integers, a scale per channel"},
    Destination{"vllm", "w8a8", "int8+int8:token:dyn", kCompressed, kFolder, "8-bit integers, activations too"},
    Destination{"vllm", "fp8", "fp8_e4m3+fp8_e4m3:token:dyn", kCompressed, kFolder, "8-bit floats, activations too"},
    Destination{"vllm", "nvfp4a16", "nvfp4", kCompressed, kFolder, "4-bit floats, an 8-bit scale for 16 weights"},
    Destination{"vllm", "gptq", "int4:g128", "gptq", kFolder, "4-bit integers in GPTQ's layout"},
    Destination{"transformers", "w4a16", "int4:g128", kCompressed, kFolder, "4-bit integers in groups of 128"},
    Destination{"transformers", "w8a16", "int8", kCompressed, kFolder, "8-bit integers, a scale per channel"},
    Destination{"transformers", "w8a8", "int8+int8:token:dyn", kCompressed, kFolder, "8-bit integers, activations too"},
    Destination{"transformers", "fp8", "fp8_e4m3+fp8_e4m3:token:dyn", kCompressed, kFolder,
                "8-bit floats, activations too"},
    Destination{"gptq", "w4", "int4:g128", "gptq", kFolder, "4-bit integers, symmetric"},
    Destination{"gptq", "w4-asym", "int4:g128:asym", "gptq_v2", kFolder, "4-bit integers, asymmetric, version 2"},
    Destination{"gptq", "w8", "int8:g128:full", "gptq", kFolder, "8-bit integers, symmetric"},
    Destination{"awq", "w4", "int4:g128:asym", "awq", kFolder, "4-bit integers with zero points"},
    Destination{"transformers", "nf4", "nf4", "bitsandbytes", kFolder, "4-bit normal floats of bitsandbytes"},
    Destination{"bitsandbytes", "nf4", "nf4", "bitsandbytes", kFolder, "4-bit normal floats"},
    Destination{"bitsandbytes", "fp4", "fp4", "bitsandbytes", kFolder, "4-bit floats"},
    Destination{"bitsandbytes", "int8", "int8", "bitsandbytes", kFolder, "8-bit integers (LLM.int8)"},
    Destination{"torch", "int8", "int8", kTorch, kTorchFile, "quantized tensors of 8 bits, a scale per channel"},
    Destination{"torch", "int8-tensor", "int8:tensor", kTorch, kTorchFile, "quantized tensors of 8 bits, one scale"},
    Destination{"torch", "fp16", "fp16", kTorch, kTorchFile, "16-bit floats"},
    Destination{"torch", "bf16", "bf16", kTorch, kTorchFile, "bfloat16"},
};

}  // namespace

std::span<const Destination> destinations() noexcept {
  return kRows;
}

const Destination& parse_destination(std::string_view text) {
  std::vector<std::string> names;
  std::string list;
  for (const Destination& row : kRows) {
    names.push_back(std::string(row.runtime) + ":" + std::string(row.name));
    if (names.back() == text) return row;
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw Error({.code = ErrorCode::Usage,
               .message = "there is no preset '" + printable(text) + "'",
               .expected = list,
               .hint = did_you_mean(text, views)});
}

void apply(const Destination& destination, Recipe& recipe) {
  recipe.scheme = parse_spec(destination.scheme);
  recipe.dialect = destination.dialect;
  if (recipe.format == kAutoFormat) recipe.format = destination.format;
  recipe.runtime = destination.runtime;
}

}  // namespace mq
