#include "src/qparams.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "mq/error.hpp"
#include "mq/quantize.hpp"
#include "src/active_table.hpp"
#include "src/codecs/levels.hpp"

namespace mq {
namespace {

constexpr std::size_t kChunk = 1024;

// Largest finite value of an fp8 type.
float largest(DType element) {
  return element == DType::Float8E4M3FN ? 448.0f : 57344.0f;
}

void to_half(DType dtype, const float* from, std::size_t n, std::uint16_t* to) {
  const kernels::KernelTable& k = active_table();
  (dtype == DType::Float16 ? k.f32_to_f16 : k.f32_to_bf16)(from, n, to);
}

void from_half(DType dtype, const std::uint16_t* from, std::size_t n, float* to) {
  const kernels::KernelTable& k = active_table();
  (dtype == DType::Float16 ? k.f16_to_f32 : k.bf16_to_f32)(from, n, to);
}

// 2^(code - 127); 255 is NaN.
float power_of_code(std::uint8_t code) {
  if (code == 0) return 0x1p-127f;
  return std::bit_cast<float>(code == 255 ? 0x7fc00000u : std::uint32_t{code} << 23);
}

}  // namespace

float power_scale(float absmax, int largest_exponent) noexcept {
  const int code = static_cast<int>(std::bit_cast<std::uint32_t>(absmax) >> 23) - largest_exponent;
  return power_of_code(static_cast<std::uint8_t>(std::max(code, 0)));
}

float smallest_scale(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-24f;
    case DType::Float8E8M0FNU:
      return 0x1p-127f;
    case DType::BFloat16:
      return 0x1p-128f + 0x1p-133f;  // 1 / 2^-128 overflows; this is the next bfloat16
    default:
      return 0x1p-128f + 0x1p-149f;  // likewise the next float
  }
}

std::int64_t round_scales(DType dtype, float* scales, std::size_t n) {
  const float smallest = smallest_scale(dtype);
  std::array<std::uint16_t, kChunk> half;
  std::int64_t infinite = 0;
  for (std::size_t first = 0; first < n; first += kChunk) {
    float* chunk = scales + first;
    const std::size_t count = std::min(kChunk, n - first);
    if (dtype == DType::Float16 || dtype == DType::BFloat16) {
      to_half(dtype, chunk, count, half.data());
      from_half(dtype, half.data(), count, chunk);
    }
    for (std::size_t i = 0; i < count; ++i) {
      chunk[i] = std::fabs(chunk[i]) < smallest ? std::copysign(smallest, chunk[i]) : chunk[i];
      infinite += std::isinf(chunk[i]);
    }
  }
  return infinite;
}

void store_scales(DType dtype, const float* scales, std::size_t n, std::byte* to) {
  if (n == 0) return;
  if (dtype == DType::Float32) {
    std::memcpy(to, scales, n * sizeof(float));
    return;
  }
  if (dtype == DType::Float8E8M0FNU) {
    // The exponent field; that of 2^-127 is 0.
    std::transform(scales, scales + n, to,
                   [](float scale) { return static_cast<std::byte>(std::bit_cast<std::uint32_t>(scale) >> 23); });
    return;
  }
  to_half(dtype, scales, n, reinterpret_cast<std::uint16_t*>(to));
}

void load_scales(DType dtype, const std::byte* from, std::size_t n, float* scales) {
  if (n == 0) return;
  if (dtype == DType::Float32) {
    std::memcpy(scales, from, n * sizeof(float));
    return;
  }
  if (dtype == DType::Float8E8M0FNU) {
    std::transform(from, from + n, scales,
                   [](std::byte code) { return power_of_code(static_cast<std::uint8_t>(code)); });
    return;
  }
  from_half(dtype, reinterpret_cast<const std::uint16_t*>(from), n, scales);
}

ParamRule::ParamRule(const QuantSpec& spec) {
  if (spec.codec == "fp8") {
    divisor_ = largest(spec.element);
    return;
  }
  if (spec.codec == "mxfp8") {
    power_of_two_ = true;
    largest_exponent_ = spec.element == DType::Float8E4M3FN ? 8 : 15;
    return;
  }
  if (const LevelFormat* format = level_format(spec)) {
    divisor_ = format->largest();
    power_of_two_ = scale_dtype_of(spec) == DType::Float8E8M0FNU;
    largest_exponent_ = format->largest_exponent;
    return;
  }
  if (!spec.is_integer()) throw Error(ErrorCode::Usage, "encoding " + spec.codec + " has no scales");
  const auto qmin = static_cast<float>(spec.qmin());
  const auto qmax = static_cast<float>(spec.qmax());
  code_min_ = qmin;
  code_max_ = qmax;
  asymmetric_ = spec.mapping == Mapping::Asymmetric;
  if (asymmetric_) {
    divisor_ = qmax - qmin;
    return;
  }
  common_zero_ = spec.element == DType::UInt8 ? static_cast<float>(1 << (spec.bits - 1)) : 0.0f;
  switch (spec.range) {
    case RangeKind::Narrow:
      divisor_ = qmax - common_zero_;
      code_min_ = common_zero_ - divisor_;
      break;
    case RangeKind::Full:
      divisor_ = (qmax - qmin) / 2.0f;
      break;
    case RangeKind::Signed:
      divisor_ = qmin - common_zero_;
      signed_range_ = true;
      break;
  }
}

QParams choose_qparams(std::span<const Range> ranges, const QuantSpec& spec) {
  const ParamRule rule(spec);
  QParams params;
  params.scales.reserve(ranges.size());
  for (const Range& range : ranges) {
    if (!std::isfinite(range.lo) || !std::isfinite(range.hi)) {
      throw Error(ErrorCode::Numeric, "the range of a block is not finite");
    }
    if (range.lo > range.hi) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "a range is upside down",
                   .found = std::to_string(range.lo) + " to " + std::to_string(range.hi)});
    }
    params.scales.push_back(rule.scale(range.lo, range.hi));
  }
  const DType dtype = scale_dtype_of(spec);
  if (round_scales(dtype, params.scales.data(), params.scales.size()) != 0) {
    throw Error({.code = ErrorCode::Numeric,
                 .message = "a scale is too large for " + std::string(to_string(dtype)),
                 .hint = "store the scales as f32"});
  }
  if (!rule.has_zero_points() && rule.common_zero_point() == 0) return params;
  params.zero_points.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    params.zero_points.push_back(static_cast<std::int32_t>(rule.zero_point(ranges[i].lo, params.scales[i])));
  }
  return params;
}

}  // namespace mq
