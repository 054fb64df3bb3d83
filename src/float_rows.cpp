#include "src/float_rows.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "src/active_table.hpp"

namespace mq {
namespace {

constexpr std::int64_t kBandNumel = 1 << 18;

// An 8-bit float with neither infinities nor a negative zero: 0x80 is its only NaN.
float from_fnuz(std::uint8_t code, int mantissa_bits, int bias) {
  if (code == 0x80) return std::numeric_limits<float>::quiet_NaN();
  const int exponent = (code & 0x7f) >> mantissa_bits;
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int significand = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  // 2^(max(exponent, 1) - bias - mantissa_bits) is a normal float for both types.
  const int power = (exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
  const float magnitude = static_cast<float>(significand) * std::bit_cast<float>((power + 127) << 23);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

float from_e8m0(std::uint8_t code) {
  if (code == 0xff) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(code == 0 ? 0x00400000u : static_cast<std::uint32_t>(code) << 23);
}

template <class F>
void widen_bytes(const std::byte* from, std::int64_t count, float* to, F&& convert) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = convert(static_cast<std::uint8_t>(from[i]));
}

}  // namespace

bool is_readable_float(DType dtype) noexcept {
  const DTypeInfo& type = info(dtype);
  return type.is_float && type.block_numel == 1;
}

void widen(DType dtype, const std::byte* from, std::int64_t count, float* to) {
  const kernels::KernelTable& k = active_table();
  const auto n = static_cast<std::size_t>(count);
  switch (dtype) {
    case DType::Float32:
      if (n != 0) std::memcpy(to, from, n * sizeof(float));
      return;
    case DType::Float16:
      return k.f16_to_f32(reinterpret_cast<const std::uint16_t*>(from), n, to);
    case DType::BFloat16:
      return k.bf16_to_f32(reinterpret_cast<const std::uint16_t*>(from), n, to);
    case DType::Float8E4M3FN:
      return k.e4m3_to_f32(reinterpret_cast<const std::uint8_t*>(from), n, to);
    case DType::Float8E5M2:
      return k.e5m2_to_f32(reinterpret_cast<const std::uint8_t*>(from), n, to);
    case DType::Float64:
      for (std::size_t i = 0; i < n; ++i) {
        double value = 0;
        std::memcpy(&value, from + i * sizeof(double), sizeof(double));
        to[i] = static_cast<float>(value);
      }
      return;
    case DType::Float8E4M3FNUZ:
      return widen_bytes(from, count, to, [](std::uint8_t code) { return from_fnuz(code, 3, 8); });
    case DType::Float8E5M2FNUZ:
      return widen_bytes(from, count, to, [](std::uint8_t code) { return from_fnuz(code, 2, 16); });
    case DType::Float8E8M0FNU:
      return widen_bytes(from, count, to, from_e8m0);
    default:
      throw Error({.code = ErrorCode::Usage,
                   .message = "not a floating-point type of whole bytes",
                   .found = std::string(to_string(dtype))});
  }
}

FloatRows::FloatRows(TensorView tensor) : tensor_(tensor), matrix_(matrix_shape(tensor.shape)) {
  widen(tensor.dtype, nullptr, 0, nullptr);  // refuses other types
  const std::int64_t expected = bytes_of(tensor.dtype, matrix_.numel());
  if (static_cast<std::uint64_t>(expected) != tensor.bytes.size()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "the data does not fit the shape " + to_string(tensor.shape),
                 .expected = std::to_string(expected) + " bytes",
                 .found = std::to_string(tensor.bytes.size()) + " bytes"});
  }
  const bool direct =
      tensor.dtype == DType::Float32 && reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(float) == 0;
  if (direct) {
    band_rows_ = std::max<std::int64_t>(matrix_.rows, 1);
    return;
  }
  const std::int64_t cols = std::max<std::int64_t>(matrix_.cols, 1);
  band_rows_ = std::clamp<std::int64_t>(kBandNumel / cols, 1, std::max<std::int64_t>(matrix_.rows, 1));
  scratch_ = Buffer(static_cast<std::size_t>(band_rows_ * matrix_.cols) * sizeof(float));
}

const float* FloatRows::read(std::int64_t first, std::int64_t count) {
  const std::int64_t before = first * matrix_.cols;
  if (scratch_.data() == nullptr) return reinterpret_cast<const float*>(tensor_.bytes.data()) + before;
  widen(tensor_.dtype, tensor_.bytes.data() + bytes_of(tensor_.dtype, before), count * matrix_.cols,
        scratch_.as<float>());
  return scratch_.as<float>();
}

}  // namespace mq
