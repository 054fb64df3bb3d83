// Unsigned integers with a scale and a real zero point for every group, the layout of HQQ (Badri and Shaji,
// Half-Quadratic Quantization, 2023):
//
//   q = int(clamp(rne(x * (1/s) + z), 0, 2^bits - 1))        y = (q - z) * s
//
//   fast       s = (hi - lo) / (2^bits - 1), z = -lo / s with the range of the group
//   search     s and the least value -z * s by the search for both (kernels/search_min.hpp)
//   reference  s of fast, z by HQQ's iterations, for comparison with its figures
//
// Scales and zero points are stored in one type, one for each group of a row; codes are made with both as stored.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "src/active_table.hpp"
#include "src/block_ranges.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/half_quadratic.hpp"
#include "src/codecs/scaled.hpp"
#include "src/nonfinite.hpp"
#include "src/norm_search.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

constexpr std::size_t kCodes = 0, kScale = 1, kZero = 2;  // indices of the parts
constexpr std::int64_t kLargestGroup = kernels::kMaxMinRun;

std::span<const SchemeInfo> list_schemes() {
  static const std::vector<SchemeInfo> kList = [] {
    constexpr std::array<std::string_view, 4> kNames{"hqq8", "hqq4", "hqq3", "hqq2"};
    constexpr std::array<int, 4> kBits{8, 4, 3, 2};
    std::vector<SchemeInfo> list;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      list.push_back({kNames[i],
                      {.codec = "hqq",
                       .element = DType::UInt8,
                       .bits = kBits[i],
                       .granularity = PerGroup{64},
                       .mapping = Mapping::Asymmetric},
                      "integers with a real zero point for each group"});
    }
    return list;
  }();
  return kList;
}

void check(const QuantSpec& spec) {
  const auto* const group = std::get_if<PerGroup>(&spec.granularity);
  if (spec.element != DType::UInt8 || spec.bits < 2 || spec.bits > 8 || spec.mapping != Mapping::Asymmetric ||
      spec.range != RangeKind::Narrow) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "hqq codes of this kind do not exist",
                 .expected = "2 to 8 bits in bytes, asymmetric",
                 .found = std::to_string(spec.bits) + " bits of " + std::string(to_string(spec.element))});
  }
  if (group == nullptr || group->group_size > kLargestGroup) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "hqq has zero points for groups",
                 .expected = "groups of up to " + std::to_string(kLargestGroup) + " weights",
                 .found = to_string(spec.granularity)});
  }
  check_scaled(spec);
}

// Whether encode() gives the scales of each tile.
bool is_tiled(const CodecRequest& request) {
  return request.layout.matrix.numel() > 0 && !request.two_pass;
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  if (request.form != CodeForm::Bytes) throw Error(ErrorCode::Usage, "hqq codes are not packed");
  const BlockLayout& layout = request.layout;
  const DType dtype = scale_dtype_of(request.spec);
  const std::int64_t row_bytes = layout.grid_cols * info(dtype).block_bytes;
  return {{"codes", DType::UInt8, layout.matrix.rows, layout.matrix.cols},
          {"scale", dtype, layout.grid_rows, row_bytes, is_tiled(request)},
          {"zero", dtype, layout.grid_rows, row_bytes, is_tiled(request)}};
}

float rounded(DType dtype, float value) {
  std::array<std::byte, sizeof(float)> stored;
  store_scales(dtype, &value, 1, stored.data());
  load_scales(dtype, stored.data(), 1, &value);
  return value;
}

// The zero point of a group whose least value is `least`, as stored. Where the group is narrow and far from 0, it is
// too large to tell codes apart: empty.
std::optional<float> zero_of(DType dtype, float least, float scale) {
  constexpr float kLargest = 1024;
  const float zero = -least / scale;
  if (!(std::fabs(zero) <= kLargest)) return std::nullopt;
  return rounded(dtype, zero);
}

float scale_of(const QuantSpec& spec, const kernels::Range& range) {
  const auto most = static_cast<float>(spec.qmax());
  return range.hi / most - range.lo / most;
}

// Scale and zero point of a group, as stored, from those that were found. A group without a width, or one too narrow
// for its zero point, stands on 0. Returns how many scales became infinite.
std::int64_t settle_group(const QuantSpec& spec, const kernels::Range& range, float least, float& scale, float& zero) {
  const DType dtype = scale_dtype_of(spec);
  if (scale > 0) {
    const std::int64_t infinite = round_scales(dtype, &scale, 1);
    if (infinite != 0) return infinite;
    if (const std::optional<float> found = zero_of(dtype, least, scale)) {
      zero = *found;
      return 0;
    }
  }
  const float lo = std::min(range.lo, 0.0f), hi = std::max(range.hi, 0.0f);
  scale = lo == hi ? 1.0f : scale_of(spec, {lo, hi, 0});
  const std::int64_t infinite = round_scales(dtype, &scale, 1);
  zero = rounded(dtype, -lo / scale);
  return infinite;
}

// Scales and zero points of the groups of a strip, as stored.
class Chooser {
 public:
  explicit Chooser(const CodecRequest& request) : request_(request), weights_(request.search) {}

  // Returns how many scales became infinite.
  std::int64_t choose(const Strip& strip, const float* x, const StripRanges& ranges, StripParams& params) {
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    std::array<float, kStripRuns> least;
    const Effort effort = request_.search.effort;
    for (std::size_t r = 0; r < runs; ++r) {
      least[r] = ranges[r].lo;
      params.scale[r] = scale_of(request_.spec, ranges[r]);
    }
    if (is_search(effort)) search({x, weights_.of(strip, x), runs, run, nullptr}, params.scale.data(), least.data());
    std::int64_t infinite = 0;
    for (std::size_t r = 0; r < runs; ++r) {
      if (effort == Effort::Reference) {
        const HalfQuadratic found = half_quadratic({x + r * run, run}, ranges[r].lo, ranges[r].hi, most());
        params.scale[r] = found.scale;
        least[r] = -found.zero * found.scale;
      }
      infinite += settle_group(request_.spec, ranges[r], least[r], params.scale[r], params.zero_point[r]);
    }
    return infinite;
  }

 private:
  float most() const { return static_cast<float>(request_.spec.qmax()); }

  void search(kernels::SearchBlocks blocks, float* scale, float* least) const {
    const Objective& objective = request_.search.objective;
    const kernels::MinSearch how = min_search(request_.spec.qmax(), false, request_.search.effort == Effort::Max);
    if (objective.kind != Objective::Kind::Norm) return active_table().search_min(how, blocks, scale, least);
    std::vector<float> scales(blocks.rows), leasts(blocks.rows), values(blocks.rows * blocks.run);
    const auto attempt = [&](const float* weights) {
      blocks.weights = weights;
      active_table().search_min(how, blocks, scales.data(), leasts.data());
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t r = i / blocks.run;
        const float code = scales[r] > 0 ? std::nearbyint((blocks.x[i] - leasts[r]) / scales[r]) : 0.0f;
        values[i] = std::clamp(code, 0.0f, most()) * scales[r] + leasts[r];
      }
      return values.data();
    };
    NormSearch(objective.norm).find(blocks.x, blocks.rows, blocks.run, attempt, [&](std::size_t r) {
      scale[r] = scales[r];
      least[r] = leasts[r];
    });
  }

  const CodecRequest& request_;
  SearchWeights weights_;
};

// Where a first pass is asked for: the ranges of all groups, then their scales and zero points, as stored.
class HqqState final : public CodecState {
 public:
  explicit HqqState(const CodecRequest& asked) : request(asked) {
    if (request.two_pass) ranges_ = std::make_unique<BlockRanges>(request.layout);
  }

  EncodeCounts observe(const Tile& tile, const float* x) { return {.nonfinite = ranges_->add(tile, x)}; }

  void settle() {
    const std::vector<Range> ranges = ranges_->take();
    ranges_.reset();
    scales.resize(ranges.size());
    zeros.resize(ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const kernels::Range range{.lo = ranges[i].lo, .hi = ranges[i].hi};
      scales[i] = scale_of(request.spec, range);
      overflow += settle_group(request.spec, range, range.lo, scales[i], zeros[i]);
    }
  }

  const CodecRequest request;
  std::vector<float> scales, zeros;  // of all groups, where tiles do not give them
  std::int64_t overflow = 0;

 private:
  std::unique_ptr<BlockRanges> ranges_;
};

std::unique_ptr<CodecState> begin(const CodecRequest& request, const QParams* given) {
  if (given != nullptr) throw Error(ErrorCode::Usage, "hqq takes no parameters from outside");
  return std::make_unique<HqqState>(request);
}

std::int64_t state_bytes(const CodecRequest& request) {
  constexpr auto kPerGroup = static_cast<std::int64_t>(sizeof(Range) + 2 * sizeof(float));
  return request.two_pass ? request.layout.blocks() * kPerGroup : 0;
}

// In this form compilers make vectors of it.
void make_codes(const float* x, std::size_t n, float scale, float zero, float most, std::uint8_t* codes) {
  const float inverse = 1.0f / scale;
  for (std::size_t i = 0; i < n; ++i) {
    const float v = x[i] * inverse + zero;
    const float above = v > 0 ? v : 0;
    const float held = above < most ? above : most;
    codes[i] = static_cast<std::uint8_t>(static_cast<int>((held + 0x1.8p23f) - 0x1.8p23f));
  }
}

// Scales and zero points of a strip from those of all groups.
void load_all(const HqqState& state, const Tile& tile, const Strip& strip, StripParams& params) {
  for_each_block(state.request.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
    std::copy_n(state.scales.data() + block, count, params.scale.data() + first);
    std::copy_n(state.zeros.data() + block, count, params.zero_point.data() + first);
  });
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const auto& state = static_cast<const HqqState&>(base);
  const CodecRequest& request = state.request;
  const DType dtype = scale_dtype_of(request.spec);
  const auto width = static_cast<std::size_t>(info(dtype).block_bytes);
  auto* const codes = reinterpret_cast<std::uint8_t*>(spans[kCodes].data());
  Chooser chooser(request);
  StripRanges ranges;
  StripParams params;
  std::vector<float> finite;
  EncodeCounts counts;
  if (request.two_pass && tile.row == 0 && tile.col == 0) counts.overflow = state.overflow;
  for_each_strip(request.layout, tile, true, [&](const Strip& strip) {
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    const float* in = x + strip.offset;
    if (!request.two_pass) counts.nonfinite += ranges_of(in, strip, ranges);
    if (request.allow_nonfinite) in = finite_values(in, strip.runs * strip.run, finite);
    if (request.two_pass) {
      load_all(state, tile, strip, params);
    } else {
      // Tiles are whole rows, and so groups follow each other.
      counts.overflow += chooser.choose(strip, in, ranges, params);
      const std::size_t first = static_cast<std::size_t>(strip.offset / strip.run) * width;
      store_scales(dtype, params.scale.data(), runs, spans[kScale].data() + first);
      store_scales(dtype, params.zero_point.data(), runs, spans[kZero].data() + first);
    }
    for (std::size_t r = 0; r < runs; ++r) {
      make_codes(in + r * run, run, params.scale[r], params.zero_point[r], static_cast<float>(request.spec.qmax()),
                 codes + strip.offset + r * run);
    }
  });
  return counts;
}

void finish(const CodecState& base, PartSpans spans) {
  const auto& state = static_cast<const HqqState&>(base);
  if (is_tiled(state.request)) return;
  const DType dtype = scale_dtype_of(state.request.spec);
  store_scales(dtype, state.scales.data(), state.scales.size(), spans[kScale].data());
  store_scales(dtype, state.zeros.data(), state.zeros.size(), spans[kZero].data());
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const DType dtype = scale_dtype_of(request.spec);
  const auto width = static_cast<std::size_t>(info(dtype).block_bytes);
  const auto* const codes = reinterpret_cast<const std::uint8_t*>(spans[kCodes].data());
  const std::int64_t before = is_tiled(request) ? tile.row * request.layout.grid_cols : 0;
  StripParams params;
  for_each_strip(request.layout, tile, true, [&](const Strip& strip) {
    for_each_block(request.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
      const std::size_t from = static_cast<std::size_t>(block - before) * width;
      const auto n = static_cast<std::size_t>(count);
      load_scales(dtype, spans[kScale].data() + from, n, params.scale.data() + first);
      load_scales(dtype, spans[kZero].data() + from, n, params.zero_point.data() + first);
    });
    active_table().dequantize_u8(codes + strip.offset, static_cast<std::size_t>(strip.runs),
                                 static_cast<std::size_t>(strip.run), params.scale.data(), params.zero_point.data(),
                                 y + strip.offset);
  });
}

}  // namespace

constinit const Codec kHqq = {
    .name = "hqq",
    .options = {.granularity = true, .groups_only = true},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .state_bytes = state_bytes,
    .observes = [](const CodecRequest& request) { return request.two_pass; },
    .has_reference = true,
    .searches = [](const CodecRequest& request) { return is_search(request.search.effort) && !request.two_pass; },
    .begin = begin,
    .observe = [](CodecState& state, const Tile& tile,
                  const float* x) { return static_cast<HqqState&>(state).observe(tile, x); },
    .settle = [](CodecState& state) { static_cast<HqqState&>(state).settle(); },
    .encode = encode,
    .finish = finish,
    .decode = decode,
};

}  // namespace mq
