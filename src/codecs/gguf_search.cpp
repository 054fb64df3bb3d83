#include "src/codecs/gguf_search.hpp"

#include <algorithm>

#include "src/active_table.hpp"
#include "src/exact_search.hpp"

namespace mq::gguf {
namespace {

// In eight lanes, joined by halves, which compilers turn into vectors. n is a multiple of 8.
template <class Term>
double sum_in_lanes(std::size_t n, Term&& term) {
  double lanes[8] = {};
  for (std::size_t i = 0; i < n; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) lanes[k] += term(i + k);
  }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

struct BlockError {
  double error = 0;
  double power = 0;  // of the weights themselves

  BlockError(const float* x, const float* y, const float* weights, std::size_t numel) {
    const auto weight = [=](std::size_t i) { return weights == nullptr ? 1.0 : static_cast<double>(weights[i]); };
    error = sum_in_lanes(numel, [=](std::size_t i) {
      const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
      return off * off * weight(i);
    });
    power = sum_in_lanes(numel, [=](std::size_t i) {
      const double v = static_cast<double>(x[i]);
      return v * v * weight(i);
    });
  }
};

std::vector<kernels::Range> ranges_of(const float* x, std::size_t rows, std::size_t run) {
  std::vector<kernels::Range> ranges(rows);
  active_table().range(x, rows, run, ranges.data());
  return ranges;
}

BlockQuality quality_of(const float* x, const float* y, std::size_t numel) {
  kernels::ErrorSums sums;
  active_table().error_sums(x, y, numel, &sums);
  return {static_cast<float>(sums.error_sq), static_cast<float>(sums.x_sq)};
}

// Whether the error is surely more than that part of the power, whatever was rounded on the way.
bool is_ordinary(const BlockQuality& block, float ratio) {
  return block.power > 1e-20f && block.power < 1e20f && block.error * ratio > 2 * block.power;
}

// Compilers make vectors of this as long as they do not know how many elements there are.
[[gnu::noinline]] void subtract(float min, std::size_t n, const float* __restrict x, float* __restrict to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = x[i] - min;
}

// How much smaller than the power the error of ordinary weights is not, in codes of so many bits: 6 dB for each, and 6
// more.
double extraordinary(int bits) {
  return static_cast<double>(4 << (2 * bits));
}

}  // namespace

UnitBlocks::UnitBlocks(const SearchedBlocks& in, int numel) {
  const auto count = static_cast<std::size_t>(in.count), n = static_cast<std::size_t>(numel);
  const std::vector<kernels::Range> ranges = ranges_of(in.x, count, n);
  x_.resize(count * n);
  units_.reserve(count);
  for (std::size_t b = 0; b < count; ++b) {
    const float unit = kernels::SmallFloat<Scalar>::power_below(std::max(-ranges[b].lo, ranges[b].hi));
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

std::vector<std::uint8_t> codes_of(const float* x, std::size_t run, std::vector<float> scales, int least, int most) {
  for (float& scale : scales) scale = inverse_or_zero(scale);
  const std::vector<float> offsets(scales.size(), static_cast<float>(-least));
  std::vector<std::uint8_t> codes(scales.size() * run);
  active_table().quantize_8(x, scales.size(), run, scales.data(), offsets.data(), 0, static_cast<float>(most - least),
                            codes.data());
  return codes;
}

std::vector<float> above(const float* x, std::size_t run, const std::vector<float>& mins) {
  std::vector<float> out(mins.size() * run);
  for (std::size_t row = 0; row < mins.size(); ++row) subtract(mins[row], run, x + row * run, out.data() + row * run);
  return out;
}

void keep_better(const BlockCoder& coder, const BlockEncoder& encoder, const SearchedBlocks& in, std::uint8_t* blocks,
                 std::span<const BlockQuality> found) {
  const DTypeInfo& type = info(coder.dtype);
  const std::int64_t numel = type.block_numel, bytes = type.block_bytes;
  const double ratio = in.thorough ? 0 : extraordinary(coder.bits);
  std::vector<std::uint8_t> other(static_cast<std::size_t>(bytes));
  std::vector<float> values(static_cast<std::size_t>(numel));
  for (std::int64_t i = 0; i < in.count; ++i) {
    const auto ordinary = [&](const BlockQuality& block) { return is_ordinary(block, static_cast<float>(ratio)); };
    if (!found.empty() && ordinary(found[static_cast<std::size_t>(i)])) continue;
    std::uint8_t* const block = blocks + i * bytes;
    const float* const x = in.x + i * numel;
    coder.decode(block, 1, values.data());
    if (found.empty() && ordinary(quality_of(x, values.data(), values.size()))) continue;
    const BlockError mine(x, values.data(), in.weights_at(i * numel), values.size());
    if (mine.error == 0 || mine.error * ratio > mine.power) continue;
    encoder.reference(x, 1, other.data());
    coder.decode(other.data(), 1, values.data());
    const BlockError its(x, values.data(), in.weights_at(i * numel), values.size());
    if (its.error < mine.error) std::memcpy(block, other.data(), other.size());
  }
}

std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const float* weights,
                                   std::size_t rows, std::size_t run) {
  const std::vector<kernels::Range> ranges = ranges_of(x, rows, run);
  std::vector<float> scales(rows), zero_points(rows);
  active_table().search_affine(how, {x, weights, rows, run, ranges.data()}, scales.data(), zero_points.data());
  return scales;
}

std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const SearchedBlocks& in,
                                   std::size_t rows, std::size_t run) {
  if (!in.thorough) return searched_scales(how, x, in.weights, rows, run);
  ExactSearch exact(how);
  std::vector<float> scales(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    scales[i] = exact.find({x + i * run, run}, in.weights_at(static_cast<std::int64_t>(i * run))).scale;
  }
  return scales;
}

}  // namespace mq::gguf
