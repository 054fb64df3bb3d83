// Adds stored values to others of the same type, as torch adds them: in the type itself, rounded to nearest even.
#pragma once

#include <cstddef>
#include <span>

#include "mq/dtype.hpp"

namespace mq::formats {

// target += added, element by element; both hold little-endian elements of dtype. False for what is not added: 8-bit
// floats at all, 16-bit floats to anything but 0.
bool add_values(DType dtype, std::span<std::byte> target, std::span<const std::byte> added) noexcept;

}  // namespace mq::formats
