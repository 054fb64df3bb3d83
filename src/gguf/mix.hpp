// llama.cpp's file types: which tensor of a model gets which type.
// Source: ggml-org/llama.cpp, src/llama-quant.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/dtype.hpp"
#include "mq/gguf.hpp"
#include "mq/tensor.hpp"

namespace mq::gguf {

struct MixInput {
  std::string_view name;  // llama.cpp's
  Shape shape;
};

struct MixChoice {
  std::optional<DType> dtype;  // empty: kept
  std::string reason;          // "q4_k_m: attn_v of one block in three"
};

// One choice for each tensor. Numbers of blocks and heads are the model's.
// Throws: Usage for a mix that does not exist, with those there are.
std::vector<MixChoice> choose_mix(std::string_view mix, const GgufModel& model, std::span<const MixInput> tensors);

// llama.cpp's number of a mix; of a file whose weights are mostly of one type.
std::uint32_t file_type_of_mix(std::string_view mix);
std::uint32_t file_type_of(DType dtype) noexcept;

}  // namespace mq::gguf
