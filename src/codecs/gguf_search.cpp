#include "src/codecs/gguf_search.hpp"

#include <algorithm>
#include <bit>

#include "src/active_table.hpp"

namespace mq::gguf {
namespace {

// 2^e with v in [2^e, 2^(e+1)), e in [-126, 126]; 2^-126 for less.
float power_below(float v) {
  constexpr std::uint32_t kLeast = 1u << 23, kMost = 253u << 23;
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(v) & 0x7f800000u;
  return std::bit_cast<float>(exponent < kLeast ? kLeast : exponent > kMost ? kMost : exponent);
}

struct BlockError {
  double error = 0;
  double power = 0;  // of the weights themselves

  BlockError(const float* x, const float* y, const float* weights, std::int64_t numel) {
    for (std::int64_t i = 0; i < numel; ++i) {
      const double v = static_cast<double>(x[i]), off = v - static_cast<double>(y[i]);
      const double weight = static_cast<double>(weight_of(weights, static_cast<std::size_t>(i)));
      error += off * off * weight;
      power += v * v * weight;
    }
  }
};

// How much smaller than the power the error of ordinary weights is not, in codes of so many bits: 6 dB for each, and 6
// more.
double extraordinary(int bits) {
  return static_cast<double>(4 << (2 * bits));
}

}  // namespace

UnitBlocks::UnitBlocks(const SearchedBlocks& in, int numel) : numel_(numel) {
  x_.resize(static_cast<std::size_t>(in.count * numel));
  for (std::int64_t i = 0; i < in.count; ++i) {
    const float* const from = in.x + i * numel;
    float largest = 0;
    for (int k = 0; k < numel; ++k) largest = std::fabs(from[k]) > largest ? std::fabs(from[k]) : largest;
    const float unit = power_below(largest);
    const float inverse = 1 / unit;
    for (int k = 0; k < numel; ++k) x_[static_cast<std::size_t>(i * numel + k)] = from[k] * inverse;
    units_.push_back(unit);
  }
}

float UnitBlocks::rounded(std::int64_t i, float value) const {
  const float unit = units_[static_cast<std::size_t>(i)];
  return rounded_to_half(value * unit) / unit;
}

void keep_better(const BlockCoder& coder, const BlockEncoder& encoder, const SearchedBlocks& in, std::uint8_t* blocks) {
  const DTypeInfo& type = info(coder.dtype);
  const std::int64_t numel = type.block_numel, bytes = type.block_bytes;
  const double ratio = in.thorough ? 0 : extraordinary(coder.bits);
  std::vector<std::uint8_t> other(static_cast<std::size_t>(bytes));
  std::vector<float> values(static_cast<std::size_t>(numel));
  const auto error_of = [&](std::int64_t i, const std::uint8_t* block) {
    coder.decode(block, 1, values.data());
    const float* const weights = in.weights == nullptr ? nullptr : in.weights + i * numel;
    return BlockError(in.x + i * numel, values.data(), weights, numel);
  };
  for (std::int64_t i = 0; i < in.count; ++i) {
    std::uint8_t* const block = blocks + i * bytes;
    const BlockError mine = error_of(i, block);
    if (mine.error == 0 || mine.error * ratio > mine.power) continue;
    encoder.reference(in.x + i * numel, 1, other.data());
    if (error_of(i, other.data()).error < mine.error) std::memcpy(block, other.data(), other.size());
  }
}

std::vector<kernels::Range> ranges_with_zero(const float* x, std::size_t rows, std::size_t run) {
  std::vector<kernels::Range> ranges(rows);
  active_table().range(x, rows, run, ranges.data());
  for (kernels::Range& range : ranges) {
    range.lo = std::min(range.lo, 0.0f);
    range.hi = std::max(range.hi, 0.0f);
  }
  return ranges;
}

void nearest_values(const kernels::AffineSearch& codes, const float* x, std::size_t n, float inverse, float* values) {
  constexpr float kRounder = 0x1.8p23f;
  if (codes.levels == nullptr) {
    const float least = codes.code_min + kRounder, most = codes.code_max + kRounder;
    for (std::size_t i = 0; i < n; ++i) {
      const float code = x[i] * inverse + kRounder;
      const float from = code > least ? code : least;
      values[i] = (from < most ? from : most) - kRounder;
    }
    return;
  }
  const kernels::Levels& levels = *codes.levels;
  for (std::size_t i = 0; i < n; ++i) values[i] = levels.value[0];
  for (std::size_t k = 0; k < 15; ++k) {
    const float middle = levels.middle[k], next = levels.value[k + 1];
    for (std::size_t i = 0; i < n; ++i) values[i] = x[i] * inverse > middle ? next : values[i];
  }
}

}  // namespace mq::gguf
