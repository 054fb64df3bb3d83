// The search of super-blocks whose runs have multiples of one scale: q3_k, q6_k, iq4_xs.
//
// Each run is searched by itself; the scale of largest magnitude becomes the least multiple of d. Then, with d as
// stored, each run takes the best of the multiples around its own; the codes found so determine d by least squares, and
// so on, as long as the error falls.
#pragma once

#include <vector>

#include "src/codecs/gguf_search.hpp"

namespace mq::gguf {

struct MultiplesLayout {
  std::size_t run;              // weights that share a multiple
  int least_multiple;           // to -least_multiple - 1
  kernels::AffineSearch codes;  // what they stand for, and how the scale of a run is found
};

// d as stored, in units of the block, the multiples of each run, what is wrong with them, and which d would be best.
struct Multiples {
  float d = 0;
  std::array<std::int8_t, 16> of_run = {};
  BlockQuality quality;
  float fitting_d = 0;
};

class MultiplesSearch {
 public:
  MultiplesSearch(const MultiplesLayout& layout, const SearchedBlocks& in);

  // Of each super-block.
  std::vector<Multiples> find();

  // d as it is stored.
  float real_d(std::size_t block, const Multiples& found) const;
  // The codes of all super-blocks, counted from the least.
  std::vector<std::uint8_t> codes(const std::vector<Multiples>& found) const;

 private:
  std::size_t runs() const { return kNumel / layout_.run; }
  int multiple(int from, int offset) const;
  std::vector<float> scales_of_runs() const;
  void begin(std::size_t block, const float* scales, Multiples& next) const;
  void choose(std::vector<Multiples>& next);
  void take(std::size_t block, Multiples& next) const;

  static constexpr std::size_t kNumel = 256;

  const MultiplesLayout& layout_;
  const SearchedBlocks& in_;
  UnitBlocks blocks_;
  std::size_t rows_;  // runs of all super-blocks
  int reach_;
  std::vector<float> scales_;
  ChosenRuns chosen_;
};

}  // namespace mq::gguf
