// Double quantization: the scales of blocks are codes of 8 bits with a scale for every 256 of them, as bitsandbytes has
// it (Dettmers et al., QLoRA, 2023):
//
//   offset = mean of the scales of all blocks
//   a      = absmax of (scale - offset) over 256 blocks that follow each other
//   code   = the level nearest to (scale - offset) / a; of two alike the lower one
//   y      = level(q) * (level(code) * a + offset)
//
//   parts    "scale" U8, a code for each block     "nested_absmax" F32, a for every 256     "nested_offset" F32 [1]
//   levels   256 from -0.993 to 1, denser near 0 (nested_levels())
//
// The codes q follow bitsandbytes: from the scales before they are rounded. A search takes the scales as stored.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "src/codecs/scaled.hpp"

namespace mq {

inline constexpr std::int64_t kNestedBlock = 256;  // scales that share a scale

// Ascending. Storage type and values of bitsandbytes' "dynamic map", rounded from double.
const std::array<float, 256>& nested_levels();

// Scales and what is stored of them.
struct NestedScales {
  std::vector<std::uint8_t> codes;
  std::vector<float> absmax;
  float offset = 0;
};
NestedScales nest_scales(std::span<const float> scales);
std::vector<float> unnest_scales(const NestedScales& nested);

class NestedState final : public CodecState {
 public:
  explicit NestedState(const CodecRequest& request);

  EncodeCounts observe(const Tile& tile, const float* x);
  void settle();
  void finish(PartSpans parts) const;

  // After settle(): makes the codes with scales that are known.
  const ScaledState& scaled() const;

 private:
  EncodeCounts find_scales(const Tile& tile, const float* x);

  CodecRequest request_;
  std::unique_ptr<BlockRanges> ranges_;  // while observing, where nothing is searched
  std::vector<float> scales_;            // while observing, where they are
  NestedScales nested_;
  std::unique_ptr<ScaledState> scaled_;
};

// Throws: Usage for scales that bitsandbytes does not nest.
void check_double_quant(const QuantSpec& spec);

// The parts after "codes".
void add_nested_parts(const CodecRequest& request, std::vector<PartInfo>& parts);

// Scales of a strip from the stored parts.
void load_nested_scales(const CodecRequest& request, const Tile& tile, const Strip& strip, ConstPartSpans parts,
                        float* scales);

std::int64_t nested_state_bytes(const CodecRequest& request);
bool nested_observes(const CodecRequest& request);
std::unique_ptr<CodecState> nested_begin(const CodecRequest& request, const QParams* given);
EncodeCounts nested_observe(CodecState& state, const Tile& tile, const float* x);
void nested_settle(CodecState& state);
void nested_finish(const CodecState& state, PartSpans parts);

// The codec with these functions, which are those of with_scales() where scales are not nested.
constexpr Codec with_nested_scales(Codec codec) {
  codec.state_bytes = nested_state_bytes;
  codec.observes = nested_observes;
  codec.begin = nested_begin;
  codec.observe = nested_observe;
  codec.settle = nested_settle;
  codec.finish = nested_finish;
  return codec;
}

}  // namespace mq
