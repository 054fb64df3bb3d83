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

  BlockError(const float* x, const float* y, const float* weights, std::size_t numel) {
    const auto weight = [=](std::size_t i) { return static_cast<double>(weight_of(weights, i)); };
    error = sum_in_lanes<double>(numel, [=](std::size_t i) {
      const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
      return off * off * weight(i);
    });
    power = sum_in_lanes<double>(numel, [=](std::size_t i) {
      const double v = static_cast<double>(x[i]);
      return v * v * weight(i);
    });
  }
};

// How much smaller than the power the error of ordinary weights is not, in codes of so many bits: 6 dB for each, and 6
// more.
double extraordinary(int bits) {
  return static_cast<double>(4 << (2 * bits));
}

}  // namespace

UnitBlocks::UnitBlocks(const SearchedBlocks& in, int numel) : numel_(numel) {
  const auto count = static_cast<std::size_t>(in.count), n = static_cast<std::size_t>(numel);
  std::vector<kernels::Range> ranges(count);
  active_table().range(in.x, count, n, ranges.data());
  x_.resize(count * n);
  units_.reserve(count);
  for (std::size_t b = 0; b < count; ++b) {
    const float unit = power_below(std::max(-ranges[b].lo, ranges[b].hi));
    const float inverse = 1 / unit;
    const float* const from = in.x + b * n;
    float* const to = x_.data() + b * n;
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i] * inverse;
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
    return BlockError(in.x + i * numel, values.data(), weights, values.size());
  };
  for (std::int64_t i = 0; i < in.count; ++i) {
    std::uint8_t* const block = blocks + i * bytes;
    const BlockError mine = error_of(i, block);
    if (mine.error == 0 || mine.error * ratio > mine.power) continue;
    encoder.reference(in.x + i * numel, 1, other.data());
    if (error_of(i, other.data()).error < mine.error) std::memcpy(block, other.data(), other.size());
  }
}

std::vector<kernels::Range> ranges_of(const float* x, std::size_t rows, std::size_t run) {
  std::vector<kernels::Range> ranges(rows);
  active_table().range(x, rows, run, ranges.data());
  return ranges;
}

}  // namespace mq::gguf
