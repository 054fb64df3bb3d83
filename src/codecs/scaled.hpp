// What encodings with a scale for every block share: parts "scale" and "zero_point", parameters from one pass, from
// two, or given, and the walk over a tile's strips. How codes are made and stored is each encoding's own.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>

#include "src/block_ranges.hpp"
#include "src/codecs/codec.hpp"
#include "src/nonfinite.hpp"
#include "src/qparams.hpp"
#include "src/search.hpp"

namespace mq {

// The parameters of a strip's runs.
struct StripParams {
  std::array<float, kStripRuns> scale;
  std::array<float, kStripRuns> zero_point;
};

// The ranges of a strip's runs. ranges_of() returns how many elements are not finite.
using StripRanges = std::array<kernels::Range, kStripRuns>;
std::int64_t ranges_of(const float* x, const Strip& strip, StripRanges& ranges);
std::int64_t ranges_of(kernels::Halves x, const Strip& strip, StripRanges& ranges);

class ScaledState final : public CodecState {
 public:
  ScaledState(const CodecRequest& request, const QParams* given);

  const CodecRequest& request() const noexcept { return request_; }
  const ParamRule& rule() const noexcept { return rule_; }

  EncodeCounts observe(const Tile& tile, const float* x);
  void settle();
  void finish(PartSpans parts) const;

  // Calls emit(strip, x of the strip, its parameters) for the strips of a tile, and gives the scale and zero point rows
  // of the tile where those parts are tiled. emit may change the parameters.
  // x: floats, or 16-bit floats where nothing is searched for and all values have to be finite.
  template <class X, class Emit>
  EncodeCounts encode(const Tile& tile, X x, PartSpans parts, bool across_rows, Emit&& emit) const {
    EncodeCounts counts = begin_tile(tile, parts);
    StripParams params;
    StripRanges ranges;
    std::optional<StripSearch> search;
    if (searches_) search.emplace(request_.spec, request_.search);
    std::vector<float> finite;
    for_each_strip(request_.layout, tile, across_rows, [&](const Strip& strip) {
      X in = x + strip.offset;
      if (source_ != Source::Observed) counts.nonfinite += ranges_of(in, strip, ranges);
      std::int64_t overflow = params_of(tile, strip, ranges, params);
      if constexpr (std::is_same_v<X, const float*>) {
        if (search) overflow = improve(strip, in, ranges, *search, params);
        if (request_.allow_nonfinite) in = finite_values(in, strip.runs * strip.run, finite);
      }
      counts.overflow += overflow;
      if (source_ == Source::Data) store_params(tile, strip, params, parts);
      emit(strip, in, params);
    });
    return counts;
  }

 private:
  enum class Source { Data, Observed, Given };

  void take(const QParams& given);
  EncodeCounts begin_tile(const Tile& tile, PartSpans parts) const;
  std::int64_t params_of(const Tile& tile, const Strip& strip, const StripRanges& ranges, StripParams& params) const;
  std::int64_t choose(const Strip& strip, const StripRanges& ranges, StripParams& params) const;
  std::int64_t improve(const Strip& strip, const float* x, const StripRanges& ranges, StripSearch& search,
                       StripParams& params) const;
  void store_params(const Tile& tile, const Strip& strip, const StripParams& params, PartSpans parts) const;
  void store(std::int64_t first_block, std::int64_t blocks, PartSpans parts) const;

  CodecRequest request_;
  ParamRule rule_;
  Source source_ = Source::Data;
  bool searches_ = false;
  std::unique_ptr<BlockRanges> ranges_;  // while observing
  std::vector<float> scales_;            // of all blocks, unless they follow from each strip
  std::vector<std::uint8_t> zero_points_;
  std::int64_t overflow_ = 0;
};

// Throws: Usage for scales that are not stored as ordinary floats.
void check_scaled(const QuantSpec& spec);
[[noreturn]] void refuse_scale_dtype(DType found, const char* expected);

// The parts after "codes".
void add_scale_parts(const CodecRequest& request, std::vector<PartInfo>& parts);

std::int64_t scaled_state_bytes(const CodecRequest& request);
bool scaled_observes(const CodecRequest& request);
std::unique_ptr<CodecState> scaled_begin(const CodecRequest& request, const QParams* given);
EncodeCounts scaled_observe(CodecState& state, const Tile& tile, const float* x);
void scaled_settle(CodecState& state);
void scaled_finish(const CodecState& state, PartSpans parts);

// The codec with these functions.
constexpr Codec with_scales(Codec codec) {
  codec.state_bytes = scaled_state_bytes;
  codec.observes = scaled_observes;
  codec.begin = scaled_begin;
  codec.observe = scaled_observe;
  codec.settle = scaled_settle;
  codec.finish = scaled_finish;
  return codec;
}

// Scales and zero points of a strip from the stored parts.
void load_params(const CodecRequest& request, const Tile& tile, const Strip& strip, ConstPartSpans parts,
                 StripParams& params);

}  // namespace mq
