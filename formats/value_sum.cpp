#include "formats/value_sum.hpp"

#include <cstdint>
#include <cstring>

namespace mq::formats {
namespace {

template <class T>
bool add_as(std::span<std::byte> target, std::span<const std::byte> added) noexcept {
  for (std::size_t i = 0; i + sizeof(T) <= target.size(); i += sizeof(T)) {
    T a;
    T b;
    std::memcpy(&a, target.data() + i, sizeof(T));
    std::memcpy(&b, added.data() + i, sizeof(T));
    a = static_cast<T>(a + b);
    std::memcpy(target.data() + i, &a, sizeof(T));
  }
  return true;
}

bool add_booleans(std::span<std::byte> target, std::span<const std::byte> added) noexcept {
  for (std::size_t i = 0; i < target.size(); ++i) target[i] |= added[i];
  return true;
}

// Halves are only put where nothing is yet: 0 + x, which is x but for -0.
bool add_halves(std::span<std::byte> target, std::span<const std::byte> added) noexcept {
  for (std::size_t i = 0; i + 2 <= target.size(); i += 2) {
    std::uint16_t a;
    std::uint16_t b;
    std::memcpy(&a, target.data() + i, 2);
    std::memcpy(&b, added.data() + i, 2);
    if (a != 0) return false;
    if (b == 0x8000) b = 0;
    std::memcpy(target.data() + i, &b, 2);
  }
  return true;
}

}  // namespace

bool add_values(DType dtype, std::span<std::byte> target, std::span<const std::byte> added) noexcept {
  switch (dtype) {
    case DType::Float32:
    case DType::Complex64:
      return add_as<float>(target, added);
    case DType::Float64:
    case DType::Complex128:
      return add_as<double>(target, added);
    case DType::Int8:
    case DType::UInt8:
      return add_as<std::uint8_t>(target, added);
    case DType::Int16:
    case DType::UInt16:
      return add_as<std::uint16_t>(target, added);
    case DType::Int32:
    case DType::UInt32:
      return add_as<std::uint32_t>(target, added);
    case DType::Int64:
    case DType::UInt64:
      return add_as<std::uint64_t>(target, added);
    case DType::Bool:
      return add_booleans(target, added);
    case DType::Float16:
    case DType::BFloat16:
      return add_halves(target, added);
    default:
      return false;
  }
}

}  // namespace mq::formats
