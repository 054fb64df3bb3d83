#include "src/codecs/double_quant.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "src/active_table.hpp"

namespace mq {
namespace {

constexpr std::size_t kCodes = 1, kAbsmax = 2, kOffset = 3;  // indices of the parts

std::array<float, 256> make_levels() {
  // Intervals of equal width between 0.1 and 1, twice as many for every power of ten; levels are their middles.
  constexpr std::array<double, 7> kPowers = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0};
  std::array<float, 256> levels{0.0f, 1.0f};
  std::size_t n = 2;
  for (std::size_t power = 0; power < kPowers.size(); ++power) {
    const int intervals = 1 << power;
    for (int k = 0; k < intervals; ++k) {
      const auto level = static_cast<float>((0.1 + 0.9 * (k + 0.5) / intervals) * kPowers[power]);
      levels[n++] = level;
      levels[n++] = -level;
    }
  }
  std::ranges::sort(levels);
  return levels;
}

std::uint8_t nearest_level(float x) {
  const std::array<float, 256>& levels = nested_levels();
  const auto above = static_cast<std::size_t>(std::ranges::lower_bound(levels, x) - levels.begin());
  if (above == 0) return 0;
  if (above == levels.size()) return 255;
  return static_cast<std::uint8_t>(x - levels[above - 1] <= levels[above] - x ? above - 1 : above);
}

float unnest(std::uint8_t code, float absmax, float offset) {
  return nested_levels()[code] * absmax + offset;
}

std::int64_t nested_blocks(const CodecRequest& request) {
  return (request.layout.blocks() + kNestedBlock - 1) / kNestedBlock;
}

bool is_searched(const CodecRequest& request) {
  return codec_of(request.spec).searches(request);
}

}  // namespace

const std::array<float, 256>& nested_levels() {
  static const std::array<float, 256> levels = make_levels();
  return levels;
}

NestedScales nest_scales(std::span<const float> scales) {
  NestedScales nested;
  double sum = 0;
  for (const float scale : scales) sum += static_cast<double>(scale);
  if (!scales.empty()) nested.offset = static_cast<float>(sum / static_cast<double>(scales.size()));
  for (std::size_t first = 0; first < scales.size(); first += kNestedBlock) {
    const auto block = scales.subspan(first, std::min<std::size_t>(kNestedBlock, scales.size() - first));
    float absmax = 0;
    for (const float scale : block) absmax = std::max(absmax, std::fabs(scale - nested.offset));
    for (const float scale : block) {
      nested.codes.push_back(nearest_level(absmax == 0 ? 0 : (scale - nested.offset) / absmax));
    }
    nested.absmax.push_back(absmax);
  }
  return nested;
}

std::vector<float> unnest_scales(const NestedScales& nested) {
  std::vector<float> scales(nested.codes.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    scales[i] = unnest(nested.codes[i], nested.absmax[i / kNestedBlock], nested.offset);
  }
  return scales;
}

NestedState::NestedState(const CodecRequest& request) : request_(request) {
  if (is_searched(request)) {
    scales_.resize(static_cast<std::size_t>(request.layout.blocks()));
  } else {
    ranges_ = std::make_unique<BlockRanges>(request.layout);
  }
}

EncodeCounts NestedState::observe(const Tile& tile, const float* x) {
  return ranges_ ? EncodeCounts{.nonfinite = ranges_->add(tile, x)} : find_scales(tile, x);
}

// Tiles hold whole blocks, each of them in one tile.
EncodeCounts NestedState::find_scales(const Tile& tile, const float* x) {
  EncodeCounts counts;
  StripSearch search(request_.spec, request_.search);
  std::array<kernels::Range, kStripRuns> ranges;
  StripParams found;
  for_each_strip(request_.layout, tile, true, [&](const Strip& strip) {
    const float* const in = x + strip.offset;
    active_table().range(in, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run), ranges.data());
    search.find(strip, in, ranges.data(), found.scale.data(), found.zero_point.data());
    for_each_block(request_.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const auto run = static_cast<std::size_t>(first + i);
        const float absmax = std::max({0.0f, -ranges[run].lo, ranges[run].hi});
        counts.nonfinite += static_cast<std::int64_t>(ranges[run].nonfinite);
        scales_[static_cast<std::size_t>(block + i)] = found.scale[run] == 0 ? absmax : found.scale[run];
      }
    });
  });
  return counts;
}

void NestedState::settle() {
  QParams given;
  if (ranges_) {
    for (const Range& range : ranges_->take()) given.scales.push_back(std::max({0.0f, -range.lo, range.hi}));
    ranges_.reset();
    nested_ = nest_scales(given.scales);
  } else {
    nested_ = nest_scales(scales_);
    scales_ = {};
    given.scales = unnest_scales(nested_);
  }
  // Whatever is divided by it, a scale of 0 decodes to 0.
  std::ranges::replace(given.scales, 0.0f, 1.0f);
  CodecRequest request = request_;
  request.spec.double_quant = false;
  request.two_pass = true;  // its own scales are not stored
  scaled_ = std::make_unique<ScaledState>(request, &given);
}

const ScaledState& NestedState::scaled() const {
  if (!scaled_) throw Error(ErrorCode::Internal, "encode() before settle()");
  return *scaled_;
}

void NestedState::finish(PartSpans parts) const {
  std::memcpy(parts[kCodes].data(), nested_.codes.data(), nested_.codes.size());
  std::memcpy(parts[kAbsmax].data(), nested_.absmax.data(), nested_.absmax.size() * sizeof(float));
  std::memcpy(parts[kOffset].data(), &nested_.offset, sizeof nested_.offset);
}

void check_double_quant(const QuantSpec& spec) {
  const auto* const group = std::get_if<PerGroup>(&spec.granularity);
  const std::int64_t size = group ? group->group_size : 0;
  const bool power = size >= 32 && size <= 4096 && (size & (size - 1)) == 0;
  if (power && spec.range == RangeKind::Narrow && scale_dtype_of(spec) == DType::Float32) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "double quantization is for positive float32 scales of groups of 32, 64 … 4096",
               .found = to_string(spec),
               .hint = "use " + spec.codec + ":g64:dq"});
}

void add_nested_parts(const CodecRequest& request, std::vector<PartInfo>& parts) {
  const BlockLayout& layout = request.layout;
  constexpr auto kFloat = static_cast<std::int64_t>(sizeof(float));
  parts.push_back({"scale", DType::UInt8, layout.grid_rows, layout.grid_cols, false});
  parts.push_back({"nested_absmax", DType::Float32, 1, nested_blocks(request) * kFloat, false});
  parts.push_back({"nested_offset", DType::Float32, 1, kFloat, false});
}

void load_nested_scales(const CodecRequest& request, const Tile& tile, const Strip& strip, ConstPartSpans parts,
                        float* scales) {
  const auto* const codes = reinterpret_cast<const std::uint8_t*>(parts[kCodes].data());
  float offset = 0;
  std::memcpy(&offset, parts[kOffset].data(), sizeof offset);
  for_each_block(request.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      float absmax = 0;
      const auto at = static_cast<std::size_t>((block + i) / kNestedBlock) * sizeof absmax;
      std::memcpy(&absmax, parts[kAbsmax].data() + at, sizeof absmax);
      scales[first + i] = unnest(codes[block + i], absmax, offset);
    }
  });
}

std::int64_t nested_state_bytes(const CodecRequest& request) {
  if (!request.spec.double_quant) return scaled_state_bytes(request);
  // Ranges or scales, then scales and codes.
  return request.layout.blocks() * static_cast<std::int64_t>(sizeof(Range) + sizeof(float) + 1);
}

bool nested_observes(const CodecRequest& request) {
  return request.spec.double_quant || scaled_observes(request);
}

std::unique_ptr<CodecState> nested_begin(const CodecRequest& request, const QParams* given) {
  if (!request.spec.double_quant) return scaled_begin(request, given);
  if (given != nullptr) throw Error(ErrorCode::Usage, "double quantization takes no parameters from outside");
  return std::make_unique<NestedState>(request);
}

EncodeCounts nested_observe(CodecState& state, const Tile& tile, const float* x) {
  auto* const nested = dynamic_cast<NestedState*>(&state);
  return nested ? nested->observe(tile, x) : scaled_observe(state, tile, x);
}

void nested_settle(CodecState& state) {
  auto* const nested = dynamic_cast<NestedState*>(&state);
  if (nested) return nested->settle();
  scaled_settle(state);
}

void nested_finish(const CodecState& state, PartSpans parts) {
  const auto* const nested = dynamic_cast<const NestedState*>(&state);
  if (nested) return nested->finish(parts);
  scaled_finish(state, parts);
}

}  // namespace mq
