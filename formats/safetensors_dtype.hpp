// Names of element types in safetensors, narrowest first: the order in which its writers align tensors.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "mq/dtype.hpp"

namespace mq::formats {

struct SafetensorsDType {
  std::string_view code;
  DType dtype;
};

inline constexpr std::array kSafetensorsDTypes{
    SafetensorsDType{"BOOL", DType::Bool},
    SafetensorsDType{"F4", DType::Float4E2M1},
    SafetensorsDType{"F6_E2M3", DType::Float6E2M3},
    SafetensorsDType{"F6_E3M2", DType::Float6E3M2},
    SafetensorsDType{"U8", DType::UInt8},
    SafetensorsDType{"I8", DType::Int8},
    SafetensorsDType{"F8_E5M2", DType::Float8E5M2},
    SafetensorsDType{"F8_E4M3", DType::Float8E4M3FN},
    SafetensorsDType{"F8_E8M0", DType::Float8E8M0FNU},
    SafetensorsDType{"F8_E4M3FNUZ", DType::Float8E4M3FNUZ},
    SafetensorsDType{"F8_E5M2FNUZ", DType::Float8E5M2FNUZ},
    SafetensorsDType{"I16", DType::Int16},
    SafetensorsDType{"U16", DType::UInt16},
    SafetensorsDType{"F16", DType::Float16},
    SafetensorsDType{"BF16", DType::BFloat16},
    SafetensorsDType{"I32", DType::Int32},
    SafetensorsDType{"U32", DType::UInt32},
    SafetensorsDType{"F32", DType::Float32},
    SafetensorsDType{"C64", DType::Complex64},
    SafetensorsDType{"F64", DType::Float64},
    SafetensorsDType{"I64", DType::Int64},
    SafetensorsDType{"U64", DType::UInt64},
};

inline std::optional<DType> safetensors_dtype(std::string_view code) noexcept {
  const auto row = std::ranges::find(kSafetensorsDTypes, code, &SafetensorsDType::code);
  if (row == kSafetensorsDTypes.end()) return std::nullopt;
  return row->dtype;
}

// Place in the order above; nothing for a type that the format cannot hold.
inline std::optional<std::size_t> safetensors_rank(DType dtype) noexcept {
  const auto row = std::ranges::find(kSafetensorsDTypes, dtype, &SafetensorsDType::dtype);
  if (row == kSafetensorsDTypes.end()) return std::nullopt;
  return static_cast<std::size_t>(row - kSafetensorsDTypes.begin());
}

}  // namespace mq::formats
