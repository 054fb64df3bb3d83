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

constexpr Destination comfyui(std::string_view name, std::string_view scheme, std::string_view description) {
  return {"comfyui", name, scheme, "comfyui", "safetensors", description};
}

// A file type of llama.cpp: a mix, or an encoding that is no mix of that name.
constexpr Destination llama_cpp(std::string_view mix, std::string_view description) {
  return {"llama.cpp", mix, "", "gguf", "gguf", description, mix};
}
constexpr Destination llama_cpp_blocks(std::string_view scheme, std::string_view description) {
  return {"llama.cpp", scheme, scheme, "gguf", "gguf", description};
}

// What ComfyUI loads as floats; and, for encodings that change the shape of what is stored, tensors from whose shapes
// it guesses the architecture.
constexpr std::array<const char*, 2> kComfyUiFloats = {"kind:conv", "kind:conv_transpose"};
constexpr std::array<const char*, 11> kComfyUiShapes = {
    "*img_in.*",     "*txt_in.*",     "*vector_in.*",        "*time_in.*",     "*guidance_in.*", "*x_embedder.*",
    "*y_embedder.*", "*t_embedder.*", "*context_embedder.*", "*final_layer.*", "*attn2.to_k.*"};

void keep(std::span<const char* const> patterns, Recipe& recipe) {
  for (const char* const pattern : patterns) recipe.rules.push_back({.pattern = pattern, .optional = true});
}

constexpr std::array kRows{
    Destination{"vllm", "w4a16", "int4:g128", kCompressed, kFolder, "4-bit integers in groups of 128"},
    Destination{"vllm", "w8a16", "int8", kCompressed, kFolder, "8-bit integers, a scale per channel"},
    Destination{"vllm", "w8a8", "int8+int8:token:dyn", kCompressed, kFolder, "8-bit integers, activations too"},
    Destination{"vllm", "fp8", "fp8_e4m3+fp8_e4m3:token:dyn", kCompressed, kFolder, "8-bit floats, activations too"},
    Destination{"vllm", "w8a8-static", "int8+int8:tensor:static", kCompressed, kFolder,
                "8-bit integers, static activations"},
    Destination{"vllm", "fp8-static", "fp8_e4m3:tensor+fp8_e4m3:tensor:static", kCompressed, kFolder,
                "8-bit floats, static activations"},
    Destination{"vllm", "nvfp4a16", "nvfp4", kCompressed, kFolder, "4-bit floats, an 8-bit scale for 16 weights"},
    Destination{"vllm", "nvfp4", "nvfp4+nvfp4", kCompressed, kFolder, "4-bit floats, static activations too"},
    Destination{"vllm", "gptq", "int4:g128", "gptq", kFolder, "4-bit integers in GPTQ's layout"},
    Destination{"transformers", "w4a16", "int4:g128", kCompressed, kFolder, "4-bit integers in groups of 128"},
    Destination{"transformers", "w8a16", "int8", kCompressed, kFolder, "8-bit integers, a scale per channel"},
    Destination{"transformers", "w8a8", "int8+int8:token:dyn", kCompressed, kFolder, "8-bit integers, activations too"},
    Destination{"transformers", "fp8", "fp8_e4m3+fp8_e4m3:token:dyn", kCompressed, kFolder,
                "8-bit floats, activations too"},
    Destination{"transformers", "w8a8-static", "int8+int8:tensor:static", kCompressed, kFolder,
                "8-bit integers, static activations"},
    Destination{"transformers", "fp8-static", "fp8_e4m3:tensor+fp8_e4m3:tensor:static", kCompressed, kFolder,
                "8-bit floats, static activations"},
    Destination{"transformers", "nvfp4", "nvfp4+nvfp4", kCompressed, kFolder, "4-bit floats, static activations too"},
    Destination{"gptq", "w4", "int4:g128", "gptq", kFolder, "4-bit integers, symmetric"},
    Destination{"gptq", "w4-asym", "int4:g128:asym", "gptq_v2", kFolder, "4-bit integers, asymmetric, version 2"},
    Destination{"gptq", "w8", "int8:g128:full", "gptq", kFolder, "8-bit integers, symmetric"},
    Destination{"awq", "w4", "int4:g128:asym", "awq", kFolder, "4-bit integers with zero points"},
    Destination{"transformers", "nf4", "nf4", "bitsandbytes", kFolder, "4-bit normal floats of bitsandbytes"},
    Destination{"bitsandbytes", "nf4", "nf4", "bitsandbytes", kFolder, "4-bit normal floats"},
    Destination{"bitsandbytes", "nf4-dq", "nf4:dq", "bitsandbytes", kFolder,
                "4-bit normal floats, double-quantized scales"},
    Destination{"bitsandbytes", "fp4", "fp4", "bitsandbytes", kFolder, "4-bit floats"},
    Destination{"bitsandbytes", "fp4-dq", "fp4:dq", "bitsandbytes", kFolder, "4-bit floats, double-quantized scales"},
    Destination{"bitsandbytes", "int8", "int8", "bitsandbytes", kFolder, "8-bit integers (LLM.int8)"},
    Destination{"torchao", "int8", "int8", "torchao", kFolder, "8-bit integers, a scale per channel"},
    Destination{"torchao", "int8-dynamic", "int8+int8:token:dyn", "torchao", kFolder,
                "8-bit integers, activations too"},
    Destination{"torchao", "fp8", "fp8_e4m3", "torchao", kFolder, "8-bit floats, a scale per channel"},
    Destination{"torchao", "intx4", "int4:g32", "torchao", kFolder, "4-bit integers, a byte each"},
    Destination{"quanto", "int8", "int8", "quanto", kFolder, "8-bit integers, a scale per channel"},
    Destination{"quanto", "fp8", "fp8_e4m3", "quanto", kFolder, "8-bit floats, a scale per channel"},
    comfyui("fp8", "fp8_e4m3:tensor", "8-bit floats, a scale per tensor"),
    comfyui("int8", "int8", "8-bit integers, a scale per channel"),
    comfyui("nvfp4", "nvfp4", "4-bit floats, an 8-bit scale for 16 weights"),
    llama_cpp("q8_0", "8 bits"),
    llama_cpp("q6_k", "6 bits"),
    llama_cpp("q5_k_m", "5 bits, some tensors more"),
    llama_cpp("q5_k_s", "5 bits"),
    llama_cpp("q5_1", "5 bits, older blocks"),
    llama_cpp("q5_0", "5 bits, older blocks"),
    llama_cpp("q4_k_m", "4 bits, some tensors more"),
    llama_cpp("q4_k_s", "4 bits"),
    llama_cpp("iq4_nl", "4 bits, uneven levels"),
    llama_cpp("iq4_xs", "4 bits, uneven levels, smaller"),
    llama_cpp("q4_1", "4 bits, older blocks"),
    llama_cpp("q4_0", "4 bits, older blocks"),
    llama_cpp("q3_k_l", "3 bits, many tensors more"),
    llama_cpp("q3_k_m", "3 bits, some tensors more"),
    llama_cpp("q3_k_s", "3 bits"),
    llama_cpp("q2_k", "2 bits, some tensors more"),
    llama_cpp("bf16", "16 bits"),
    llama_cpp("f16", "16 bits"),
    llama_cpp_blocks("q5_k", "5 bits, embeddings and output as they are"),
    llama_cpp_blocks("q4_k", "4 bits, embeddings and output as they are"),
    llama_cpp_blocks("q3_k", "3 bits, embeddings and output as they are"),
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
  recipe.mix = destination.mix;
  if (recipe.mix.empty()) recipe.scheme = parse_spec(destination.scheme);
  if (destination.runtime == "comfyui") keep(kComfyUiFloats, recipe);
  if (destination.runtime == "comfyui" && destination.scheme == "nvfp4") keep(kComfyUiShapes, recipe);
  recipe.dialect = destination.dialect;
  if (recipe.format == kAutoFormat) recipe.format = destination.format;
  recipe.runtime = destination.runtime;
}

}  // namespace mq
