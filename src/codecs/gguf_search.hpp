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
  // `value`, in units of block i, rounded to the f16 that it is stored as.
  float rounded(std::int64_t i, float value) const;
  // Out of the units of block i.
  float real(std::int64_t i, float value) const { return value * units_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<float> x_, units_;
};

// clamp(rne(x / scale), least, most) - least, each run with its own scale; of 0 where that is 0.
std::vector<std::uint8_t> codes_of(const float* x, std::size_t run, std::vector<float> scales, int least, int most);
// x less the min of its run.
std::vector<float> above(const float* x, std::size_t run, const std::vector<float>& mins);

// What the kernel choose_candidate finds, for each run.
struct ChosenRuns {
  std::vector<std::uint8_t> scale, min;
  std::vector<float> error;
  std::vector<kernels::CodeSums> sums;

  explicit ChosenRuns(std::size_t runs) : scale(runs), min(runs), error(runs), sums(runs) {}
  kernels::Chosen target() { return {scale.data(), min.data(), error.data(), sums.data()}; }
};

// The (weighted) squared error of a block and the sum of its squares, in a unit of its own.
struct BlockQuality {
  float error = 0;
  float power = 0;
};

// Replaces blocks by those of the reference that have less error. Without `thorough`, only blocks are compared whose
// error is so small that their weights are not spread as weights are: constant, sparse or already quantized ones.
// `found` tells of each block what the search knows; if it is empty, the blocks are decoded.
void keep_better(const BlockCoder& coder, const BlockEncoder& encoder, const SearchedBlocks& in, std::uint8_t* blocks,
                 std::span<const BlockQuality> found = {});

// Of blocks as a search has found them.
template <class Found>
std::vector<BlockQuality> qualities_of(const std::vector<Found>& found) {
  std::vector<BlockQuality> qualities;
  qualities.reserve(found.size());
  for (const Found& block : found) qualities.push_back(block.quality);
  return qualities;
}

// The scales of runs of x, by the grid.
std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const float* weights,
                                   std::size_t rows, std::size_t run);
// As thorough as `in` says, with its weights: x has the places of in.x.
std::vector<float> searched_scales(const kernels::AffineSearch& how, const float* x, const SearchedBlocks& in,
                                   std::size_t rows, std::size_t run);

}  // namespace mq::gguf
