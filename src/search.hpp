// Scales and zero points by search: from a spec to what the kernels take, and from their results to parameters.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "mq/quant_spec.hpp"
#include "mq/search.hpp"
#include "src/block_layout.hpp"
#include "src/codecs/levels.hpp"
#include "src/exact_search.hpp"
#include "src/norm_search.hpp"
#include "src/reconstruction.hpp"

namespace mq {

// Whether scales are looked for beyond the formulas of the encoding.
constexpr bool is_search(Effort effort) noexcept {
  return effort == Effort::Search || effort == Effort::Max;
}

// Elements of ggml's blocks that are searched at a time: what is kept of them stays in the caches.
inline constexpr std::int64_t kSearchPieceNumel = 8192;

// Whether blocks of such codes gain from a search that is not asked to go to the limit: scales of 7 and 8 bits for more
// than 128 weights are within 0.3 dB of the best one as they are.
bool gains_by_search(const QuantSpec& spec, std::int64_t run) noexcept;

// Throws: Usage naming the tensor if importance is asked for and is not one finite number >= 0 for each of so many
// columns.
void require_importance(const SearchOptions& options, std::int64_t cols, std::string_view tensor_name);

// The grid for integers and for levels whose scales are free.
kernels::AffineSearch affine_search(const QuantSpec& spec);

// The grid for a scale and a least value with codes 0..most, min_below_zero: not above 0. Its ranges were found on
// weights of normal and of heavy-tailed distributions; what clips gains nothing where codes are many.
kernels::MinSearch min_search(int most, bool min_below_zero, bool thorough);

// The weights of the squared errors of whole rows.
class SearchWeights {
 public:
  explicit SearchWeights(const SearchOptions& options) : options_(options) {}

  // Those of a strip, until the next call; null if all weigh the same.
  const float* of(const Strip& strip, const float* x);

 private:
  SearchOptions options_;
  std::vector<float> buffer_;
};

// Scales that have to be powers of two: the one of the range, or one of its neighbours.
class PowerSearch {
 public:
  explicit PowerSearch(const QuantSpec& spec) : rule_(spec), levels_(level_format(spec)), reconstruction_(spec) {}

  void find(const kernels::SearchBlocks& blocks, float* scale);

 private:
  static constexpr std::size_t kChoices = 3;

  void choose(const kernels::SearchBlocks& blocks);
  void add_errors(const kernels::SearchBlocks& blocks, const float* scales, float* errors);

  ParamRule rule_;
  const LevelFormat* levels_;  // null: 8-bit floats
  Reconstruction reconstruction_;
  std::vector<float> scales_, errors_;
  std::vector<std::uint8_t> best_;
};

// Finds scales and zero points of the runs of strips, one thread at a time.
class StripSearch {
 public:
  StripSearch(const QuantSpec& spec, const SearchOptions& options);

  // x: the strip's elements. Runs that are all zero or weigh nothing get scale 0.
  void find(const Strip& strip, const float* x, const kernels::Range* ranges, float* scale, float* zero_point);

 private:
  void find_weighted(const kernels::SearchBlocks& blocks, float* scale, float* zero_point);
  void find_for_norm(const kernels::SearchBlocks& blocks, float* scale, float* zero_point);

  kernels::AffineSearch how_;
  SearchWeights weights_;
  std::optional<PowerSearch> powers_;
  std::optional<ExactSearch> exact_;
  std::optional<NormSearch> norm_;
  Reconstruction reconstruction_;  // for norm_
};

}  // namespace mq
