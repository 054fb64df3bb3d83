// Parameters that a file stores in wider types than an encoding holds them in: scales in float64, zero points in int64.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "mq/dtype.hpp"

namespace mq {

// Converts as many elements as out has room for. Scales are rounded to float32, as PyTorch rounds them when it
// dequantizes. name is the tensor, for errors.
// Throws: Corrupt for a zero point that is no code; Internal for other pairs of types.
void narrow_part(DType from, std::span<const std::byte> bytes, DType to, std::span<std::byte> out,
                 std::string_view name);

// The reverse, exact: zero points of 8 bits to int64, scales of a float type to float64, as many as out has room for.
void widen_part(DType from, std::span<const std::byte> bytes, std::span<std::byte> out);

}  // namespace mq
