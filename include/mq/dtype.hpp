// Element types of stored tensors, one row of facts per type. Values and functions only; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mq {

enum class DType : std::uint8_t {
  Bool, UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64,
  Float16, BFloat16, Float32, Float64,
  Float8E4M3FN, Float8E5M2, Float8E4M3FNUZ, Float8E5M2FNUZ, Float8E8M0FNU,
  Float4E2M1, Float6E2M3, Float6E3M2,
  Complex32, Complex64, Complex128,
  // ggml's: blocks of consecutive weights of a row that hold codes and scales together, under the names of the field.
  Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1,
  Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K,
  IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS,
  TQ1_0, TQ2_0, Q1_0, Q2_0, MXFP4, NVFP4,
};

// Facts of one element type. Types are stored in blocks of block_numel elements in block_bytes bytes (1 element for
// whole-byte types, 2 in 1 byte for 4-bit floats, 256 in 144 bytes for ggml's q4_k).
struct DTypeInfo {
  DType dtype;
  std::string_view name;          // PyTorch's name: "float32", "bfloat16", "float8_e4m3fn"
  std::string_view short_name;    // the command line's: "f32", "bf16", "f8_e4m3"
  std::int32_t block_numel;
  std::int32_t block_bytes;
  bool is_float;                  // a real floating-point type; not the blocks of ggml, whose values need a codec
  bool is_signed;
};

const DTypeInfo& info(DType dtype) noexcept;
inline std::string_view to_string(DType dtype) noexcept { return info(dtype).name; }

// Whether this is one of ggml's blocks.
bool is_quantized_block(DType dtype) noexcept;

// Accepts either name of the type, case-insensitively, and "fp16", "fp32", "half", "float". Empty if unknown.
std::optional<DType> parse_dtype(std::string_view name) noexcept;

// Bytes of numel elements.
// Throws: Corrupt if numel is negative or not a multiple of the block, Limit if the product exceeds 2^63 - 1.
std::int64_t bytes_of(DType dtype, std::int64_t numel);

}  // namespace mq
