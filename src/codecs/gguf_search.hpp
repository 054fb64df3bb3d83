// What the searches for ggml's blocks share. All arithmetic is float in a fixed order, or that of the kernels: the same
// bytes on every machine.
#pragma once

#include <span>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "src/codecs/gguf_encode.hpp"
#include "src/search.hpp"

namespace mq::gguf {

// Blocks multiplied by powers of two that bring their extremes to 1..2, so that sums of squares neither overflow nor
// vanish. Blocks that are tiny or zero stay where they are.
class UnitBlocks {
 public:
  UnitBlocks(const SearchedBlocks& in, int numel);

  const float* x() const noexcept { return x_.data(); }
  const float* block(std::int64_t i) const noexcept { return x_.data() + i * numel_; }
  // `value`, in units of block i, rounded to the f16 that it is stored as.
  float rounded(std::int64_t i, float value) const;
  // Out of the units of block i.
  float real(std::int64_t i, float value) const { return value * units_[static_cast<std::size_t>(i)]; }

 private:
  int numel_;
  std::vector<float> x_, units_;
};

// Replaces blocks by those of the reference that have less error. Without `thorough`, only blocks are compared whose
// error is so small that their weights are not spread as weights are: constant, sparse or already quantized ones.
void keep_better(const BlockCoder& coder, const BlockEncoder& encoder, const SearchedBlocks& in, std::uint8_t* blocks);

// The scales of runs of x, by the grid.
std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const float* weights,
                                   std::size_t rows, std::size_t run);
// As thorough as `in` says, with its weights: x has the places of in.x.
std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const SearchedBlocks& in,
                                   std::size_t rows, std::size_t run);

// Which of `count` candidates, `stride` apart, has the least error; of equal ones the one in the middle, or the first.
std::size_t best_candidate(const float* errors, std::size_t count, std::size_t stride);

// Sums in eight lanes, joined by halves, which compilers turn into vectors. n is a multiple of 8.
template <class Sum, class Term>
Sum sum_in_lanes(std::size_t n, Term&& term) {
  Sum lanes[8] = {};
  for (std::size_t i = 0; i < n; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) lanes[k] += term(i + k);
  }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}
inline float dot(const float* a, const float* b, std::size_t n) {
  return sum_in_lanes<float>(n, [=](std::size_t i) { return a[i] * b[i]; });
}

// One of the weights of errors, 1 if all are alike.
inline float weight_of(const float* weights, std::size_t i) {
  return weights == nullptr ? 1.0f : weights[i];
}

}  // namespace mq::gguf
