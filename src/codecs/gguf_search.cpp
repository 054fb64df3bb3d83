#include "src/codecs/gguf_search.hpp"

#include <algorithm>

#include "src/active_table.hpp"
#include "src/exact_search.hpp"

namespace mq::gguf {
namespace {

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

std::vector<kernels::Range> ranges_of(const float* x, std::size_t rows, std::size_t run) {
  std::vector<kernels::Range> ranges(rows);
  active_table().range(x, rows, run, ranges.data());
  return ranges;
}

// Whether the error is surely more than that part of the power, at half the cost of a BlockError.
bool is_ordinary(const float* x, const float* y, const float* weights, std::size_t numel, float ratio) {
  const float error = sum_in_lanes<float>(numel, [=](std::size_t i) {
    const float off = x[i] - y[i];
    return off * off * weight_of(weights, i);
  });
  const float power = sum_in_lanes<float>(numel, [=](std::size_t i) { return x[i] * x[i] * weight_of(weights, i); });
  return power > 1e-20f && power < 1e20f && error * ratio > 2 * power;
}

// How much smaller than the power the error of ordinary weights is not, in codes of so many bits: 6 dB for each, and 6
// more.
double extraordinary(int bits) {
  return static_cast<double>(4 << (2 * bits));
}

}  // namespace

UnitBlocks::UnitBlocks(const SearchedBlocks& in, int numel) : numel_(numel) {
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

void keep_better(const BlockCoder& coder, const BlockEncoder& encoder, const SearchedBlocks& in, std::uint8_t* blocks) {
  const DTypeInfo& type = info(coder.dtype);
  const std::int64_t numel = type.block_numel, bytes = type.block_bytes;
  const double ratio = in.thorough ? 0 : extraordinary(coder.bits);
  std::vector<std::uint8_t> other(static_cast<std::size_t>(bytes));
  std::vector<float> values(static_cast<std::size_t>(numel));
  for (std::int64_t i = 0; i < in.count; ++i) {
    std::uint8_t* const block = blocks + i * bytes;
    const float* const x = in.x + i * numel;
    coder.decode(block, 1, values.data());
    if (ratio > 0 && is_ordinary(x, values.data(), in.weights_at(i * numel), values.size(), static_cast<float>(ratio)))
      continue;
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

std::size_t best_candidate(const float* errors, std::size_t count, std::size_t stride) {
  std::size_t best = count / 2;
  for (std::size_t k = 0; k < count; ++k) best = errors[k * stride] < errors[best * stride] ? k : best;
  return best;
}

}  // namespace mq::gguf
