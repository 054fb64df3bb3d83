// From the range of a block to its scale and zero point: the arithmetic behind choose_qparams.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "mq/observer.hpp"
#include "mq/quant_spec.hpp"

namespace mq {

// The storage type of the scales: Float32 where the spec does not say.
inline DType scale_dtype_of(const QuantSpec& spec) noexcept {
  return spec.scale_dtype.value_or(DType::Float32);
}

// The smallest positive value of a scale type whose reciprocal is finite in float32.
float smallest_scale(DType dtype) noexcept;

// Rounds n scales to the storage type in place and raises those below smallest_scale, keeping their sign. Returns how
// many became infinite.
std::int64_t round_scales(DType dtype, float* scales, std::size_t n);

// 2^(floor(log2 absmax) - largest_exponent) as the type E8M0 has it, at least 2^-127. absmax is positive and finite.
float power_scale(float absmax, int largest_exponent) noexcept;

// Writes n scales that are exact in the storage type as its bytes, and back.
void store_scales(DType dtype, const float* scales, std::size_t n, std::byte* to);
void load_scales(DType dtype, const std::byte* from, std::size_t n, float* scales);

// What a spec says about scales and zero points, ready for use on many blocks.
class ParamRule {
 public:
  // Throws: Usage for encodings without scales.
  explicit ParamRule(const QuantSpec& spec);

  // Scale of a block with finite range, before it is rounded to its storage type.
  float scale(float lo, float hi) const noexcept {
    if (asymmetric_) return width_scale(std::min(lo, 0.0f), std::max(hi, 0.0f));
    const float absmax = std::max(-lo, hi);
    if (absmax == 0) return 1;
    if (power_of_two_) return power_scale(absmax, largest_exponent_);
    return (signed_range_ ? (-lo >= hi ? lo : hi) : absmax) / divisor_;
  }
  // Zero point of that block, given the scale as stored.
  float zero_point(float lo, float stored_scale) const noexcept {
    if (!asymmetric_) return common_zero_;
    return std::clamp(code_min_ - std::nearbyint(std::min(lo, 0.0f) / stored_scale), code_min_, code_max_);
  }

  // Whether every block has its own zero point.
  bool has_zero_points() const noexcept { return asymmetric_; }
  // The zero point of all blocks otherwise.
  float common_zero_point() const noexcept { return common_zero_; }

  // Codes lie in [code_min, code_max].
  float code_min() const noexcept { return code_min_; }
  float code_max() const noexcept { return code_max_; }

 private:
  float width_scale(float lo, float hi) const noexcept {
    const float width = hi - lo;
    if (width == 0) return 1;
    // Halves are exact wherever the difference overflows.
    return std::isinf(width) ? (hi / 2.0f - lo / 2.0f) / (divisor_ / 2.0f) : width / divisor_;
  }

  bool asymmetric_ = false;
  bool signed_range_ = false;
  bool power_of_two_ = false;
  int largest_exponent_ = 0;
  float divisor_ = 1;
  float common_zero_ = 0;
  float code_min_ = 0;
  float code_max_ = 0;
};

}  // namespace mq
