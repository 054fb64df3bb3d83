#include "src/narrow_part.hpp"

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "mq/error.hpp"
#include "src/float_rows.hpp"

namespace mq {
namespace {

template <class From, class To, class Convert>
void convert_all(std::span<const std::byte> bytes, std::span<std::byte> out, Convert&& convert) {
  for (std::size_t i = 0; (i + 1) * sizeof(To) <= out.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    const To converted = convert(value);
    std::memcpy(out.data() + i * sizeof converted, &converted, sizeof converted);
  }
}

template <class To>
void narrow_zero_points(std::span<const std::byte> bytes, std::span<std::byte> out, std::string_view name) {
  convert_all<std::int64_t, To>(bytes, out, [&](std::int64_t value) {
    using Range = std::numeric_limits<To>;
    if (value >= Range::min() && value <= Range::max()) return static_cast<To>(value);
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "zero point that is no code",
                 .tensor = std::string(name),
                 .expected = std::to_string(Range::min()) + " to " + std::to_string(Range::max()),
                 .found = std::to_string(value)});
  });
}

}  // namespace

void widen_part(DType from, std::span<const std::byte> bytes, std::span<std::byte> out) {
  if (from == DType::Int8) {
    return convert_all<std::int8_t, std::int64_t>(bytes, out, [](std::int8_t value) { return value; });
  }
  if (from == DType::UInt8) {
    return convert_all<std::uint8_t, std::int64_t>(bytes, out, [](std::uint8_t value) { return value; });
  }
  std::vector<float> scales(out.size() / sizeof(double));
  widen(from, bytes.data(), static_cast<std::int64_t>(scales.size()), scales.data());
  convert_all<float, double>(std::as_bytes(std::span(scales)), out, [](float value) { return double{value}; });
}

void narrow_part(DType from, std::span<const std::byte> bytes, DType to, std::span<std::byte> out,
                 std::string_view name) {
  if (from == DType::Float64 && to == DType::Float32) {
    return convert_all<double, float>(bytes, out, [](double value) { return static_cast<float>(value); });
  }
  if (from == DType::Int64 && to == DType::Int8) return narrow_zero_points<std::int8_t>(bytes, out, name);
  if (from == DType::Int64 && to == DType::UInt8) return narrow_zero_points<std::uint8_t>(bytes, out, name);
  throw Error(ErrorCode::Internal, "a part of a type that is not converted");
}

}  // namespace mq
