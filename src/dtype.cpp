#include "mq/dtype.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "mq/error.hpp"

namespace mq {
namespace {

constexpr DTypeInfo block(DType dtype, std::string_view name, std::int32_t numel, std::int32_t bytes) {
  return {dtype, name, name, numel, bytes, false, true};
}

constexpr std::array kRows{
    DTypeInfo{DType::Bool, "bool", "bool", 1, 1, false, false},
    DTypeInfo{DType::UInt8, "uint8", "u8", 1, 1, false, false},
    DTypeInfo{DType::Int8, "int8", "i8", 1, 1, false, true},
    DTypeInfo{DType::UInt16, "uint16", "u16", 1, 2, false, false},
    DTypeInfo{DType::Int16, "int16", "i16", 1, 2, false, true},
    DTypeInfo{DType::UInt32, "uint32", "u32", 1, 4, false, false},
    DTypeInfo{DType::Int32, "int32", "i32", 1, 4, false, true},
    DTypeInfo{DType::UInt64, "uint64", "u64", 1, 8, false, false},
    DTypeInfo{DType::Int64, "int64", "i64", 1, 8, false, true},
    DTypeInfo{DType::Float16, "float16", "f16", 1, 2, true, true},
    DTypeInfo{DType::BFloat16, "bfloat16", "bf16", 1, 2, true, true},
    DTypeInfo{DType::Float32, "float32", "f32", 1, 4, true, true},
    DTypeInfo{DType::Float64, "float64", "f64", 1, 8, true, true},
    DTypeInfo{DType::Float8E4M3FN, "float8_e4m3fn", "f8_e4m3", 1, 1, true, true},
    DTypeInfo{DType::Float8E5M2, "float8_e5m2", "f8_e5m2", 1, 1, true, true},
    DTypeInfo{DType::Float8E4M3FNUZ, "float8_e4m3fnuz", "f8_e4m3fnuz", 1, 1, true, true},
    DTypeInfo{DType::Float8E5M2FNUZ, "float8_e5m2fnuz", "f8_e5m2fnuz", 1, 1, true, true},
    DTypeInfo{DType::Float8E8M0FNU, "float8_e8m0fnu", "f8_e8m0", 1, 1, true, false},
    DTypeInfo{DType::Float4E2M1, "float4_e2m1fn", "f4_e2m1", 2, 1, true, true},
    DTypeInfo{DType::Float6E2M3, "float6_e2m3fn", "f6_e2m3", 4, 3, true, true},
    DTypeInfo{DType::Float6E3M2, "float6_e3m2fn", "f6_e3m2", 4, 3, true, true},
    DTypeInfo{DType::Complex32, "complex32", "c32", 1, 4, false, true},
    DTypeInfo{DType::Complex64, "complex64", "c64", 1, 8, false, true},
    DTypeInfo{DType::Complex128, "complex128", "c128", 1, 16, false, true},
    block(DType::Q4_0, "q4_0", 32, 18),
    block(DType::Q4_1, "q4_1", 32, 20),
    block(DType::Q5_0, "q5_0", 32, 22),
    block(DType::Q5_1, "q5_1", 32, 24),
    block(DType::Q8_0, "q8_0", 32, 34),
    block(DType::Q8_1, "q8_1", 32, 36),
    block(DType::Q2_K, "q2_k", 256, 84),
    block(DType::Q3_K, "q3_k", 256, 110),
    block(DType::Q4_K, "q4_k", 256, 144),
    block(DType::Q5_K, "q5_k", 256, 176),
    block(DType::Q6_K, "q6_k", 256, 210),
    block(DType::Q8_K, "q8_k", 256, 292),
    block(DType::IQ1_S, "iq1_s", 256, 50),
    block(DType::IQ1_M, "iq1_m", 256, 56),
    block(DType::IQ2_XXS, "iq2_xxs", 256, 66),
    block(DType::IQ2_XS, "iq2_xs", 256, 74),
    block(DType::IQ2_S, "iq2_s", 256, 82),
    block(DType::IQ3_XXS, "iq3_xxs", 256, 98),
    block(DType::IQ3_S, "iq3_s", 256, 110),
    block(DType::IQ4_NL, "iq4_nl", 32, 18),
    block(DType::IQ4_XS, "iq4_xs", 256, 136),
    block(DType::TQ1_0, "tq1_0", 256, 54),
    block(DType::TQ2_0, "tq2_0", 256, 66),
    block(DType::Q1_0, "q1_0", 128, 18),
    block(DType::Q2_0, "q2_0", 64, 18),
    block(DType::MXFP4, "mxfp4", 32, 17),
    block(DType::NVFP4, "nvfp4", 64, 36),
};

constexpr bool rows_follow_the_enumeration() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_follow_the_enumeration() && kRows.back().dtype == DType::NVFP4);

struct Alias {
  std::string_view name;
  DType dtype;
};
constexpr std::array kAliases{
    Alias{"fp16", DType::Float16},
    Alias{"half", DType::Float16},
    Alias{"fp32", DType::Float32},
    Alias{"float", DType::Float32},
};

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

const DTypeInfo& info(DType dtype) noexcept {
  return kRows[static_cast<std::size_t>(dtype)];
}

bool is_quantized_block(DType dtype) noexcept {
  return dtype >= DType::Q4_0;
}

std::optional<DType> parse_dtype(std::string_view name) noexcept {
  for (const DTypeInfo& row : kRows) {
    if (equal_ignoring_case(name, row.name) || equal_ignoring_case(name, row.short_name)) return row.dtype;
  }
  for (const Alias& alias : kAliases) {
    if (equal_ignoring_case(name, alias.name)) return alias.dtype;
  }
  return std::nullopt;
}

std::int64_t bytes_of(DType dtype, std::int64_t numel) {
  const DTypeInfo& row = info(dtype);
  if (numel < 0 || numel % row.block_numel != 0) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "number of elements does not fit " + std::string(row.name),
                 .expected = "a multiple of " + std::to_string(row.block_numel),
                 .found = std::to_string(numel)});
  }
  const std::int64_t blocks = numel / row.block_numel;
  if (blocks > std::numeric_limits<std::int64_t>::max() / row.block_bytes) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "more bytes than 2^63 - 1",
                 .found = std::to_string(numel) + " elements of " + std::string(row.name)});
  }
  return blocks * row.block_bytes;
}

}  // namespace mq
