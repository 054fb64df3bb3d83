// The numbers that ggml gives its tensor types.
// Source: ggml-org/ggml, include/ggml.h; ikawrakow/ik_llama.cpp, ggml/include/ggml.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mq/dtype.hpp"

namespace mq::formats {

inline constexpr std::int32_t kGgmlF32 = 0, kGgmlQ2_0 = 42;

// Nothing for numbers that say nothing of how large the data is.
std::optional<DType> ggml_dtype(std::int32_t type) noexcept;

// Empty for types that ggml does not have.
std::optional<std::int32_t> ggml_type(DType dtype) noexcept;

// What such a number is, as far as is known, and what to do: "4 (Q4_2, retired)".
struct UnknownGgmlType {
  std::string what;
  std::string hint;
};
UnknownGgmlType describe_unknown_ggml_type(std::int32_t type);

}  // namespace mq::formats
