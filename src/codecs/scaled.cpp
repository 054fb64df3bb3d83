#include "src/codecs/scaled.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "src/active_table.hpp"

namespace mq {
namespace {

constexpr std::size_t kScale = 1, kZeroPoint = 2;  // indices of the parts

// Whether encode() gives the scales of each tile. Blocks without data have scales too, but no tile visits them.
bool is_tiled(const CodecRequest& request) {
  return request.layout.rows_independent() && request.layout.matrix.numel() > 0 && !request.two_pass;
}

bool has_zero_points(const QuantSpec& spec) {
  return spec.mapping == Mapping::Asymmetric;
}

std::size_t scale_bytes(const QuantSpec& spec) {
  return static_cast<std::size_t>(info(scale_dtype_of(spec)).block_bytes);
}

std::int64_t count_nonfinite(const StripRanges& ranges, std::int64_t runs) {
  std::int64_t nonfinite = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(runs); ++i) {
    nonfinite += static_cast<std::int64_t>(ranges[i].nonfinite);
  }
  return nonfinite;
}

// Zero points as numbers. stored may lie at any address.
void load_zero_points(const QuantSpec& spec, const std::uint8_t* stored, std::int64_t n, float* zero_points) {
  const bool is_signed = spec.element == DType::Int8;
  for (std::int64_t i = 0; i < n; ++i) {
    zero_points[i] = static_cast<float>(is_signed ? static_cast<std::int8_t>(stored[i]) : stored[i]);
  }
}

void require_count(const char* what, std::size_t found, std::int64_t blocks) {
  if (found == static_cast<std::size_t>(blocks)) return;
  throw Error({.code = ErrorCode::Usage,
               .message = std::string("the number of ") + what + " is not that of the blocks",
               .expected = std::to_string(blocks),
               .found = std::to_string(found)});
}

}  // namespace

std::int64_t ranges_of(const float* x, const Strip& strip, StripRanges& ranges) {
  active_table().range(x, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run), ranges.data());
  return count_nonfinite(ranges, strip.runs);
}

std::int64_t ranges_of(kernels::Halves x, const Strip& strip, StripRanges& ranges) {
  active_table().range_halves(x, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run),
                              ranges.data());
  return count_nonfinite(ranges, strip.runs);
}

ScaledState::ScaledState(const CodecRequest& request, const QParams* given) : request_(request), rule_(request.spec) {
  const auto searches = codec_of(request.spec).searches;
  searches_ = given == nullptr && searches != nullptr && searches(request);
  if (given != nullptr) {
    take(*given);
  } else if (scaled_observes(request)) {
    ranges_ = std::make_unique<BlockRanges>(request.layout);
    source_ = Source::Observed;
  }
}

void ScaledState::take(const QParams& given) {
  source_ = Source::Given;
  const std::int64_t blocks = request_.layout.blocks();
  require_count("scales", given.scales.size(), blocks);
  for (const float scale : given.scales) {
    if (std::isfinite(scale) && scale != 0) continue;
    throw Error({.code = ErrorCode::Usage,
                 .message = "a given scale cannot be used",
                 .expected = "finite and not 0",
                 .found = std::to_string(scale)});
  }
  scales_ = given.scales;
  const DType dtype = scale_dtype_of(request_.spec);
  if (round_scales(dtype, scales_.data(), scales_.size()) != 0) {
    throw Error({.code = ErrorCode::Numeric,
                 .message = "a given scale is too large for " + std::string(to_string(dtype)),
                 .hint = "store the scales as f32"});
  }
  if (given.zero_points.empty() && !rule_.has_zero_points()) return;
  require_count("zero points", given.zero_points.size(), blocks);
  const auto common = static_cast<std::int32_t>(rule_.common_zero_point());
  const std::int32_t least = rule_.has_zero_points() ? request_.spec.qmin() : common;
  const std::int32_t most = rule_.has_zero_points() ? request_.spec.qmax() : common;
  for (const std::int32_t zero : given.zero_points) {
    if (zero < least || zero > most) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "a given zero point cannot be used with " + to_string(request_.spec),
                   .expected = std::to_string(least) + " to " + std::to_string(most),
                   .found = std::to_string(zero)});
    }
    if (rule_.has_zero_points()) zero_points_.push_back(static_cast<std::uint8_t>(zero));
  }
}

EncodeCounts ScaledState::observe(const Tile& tile, const float* x) {
  if (!ranges_) throw Error(ErrorCode::Internal, "observe() on parameters that are settled");
  return {.nonfinite = ranges_->add(tile, x)};
}

void ScaledState::settle() {
  const std::vector<Range> ranges = ranges_->take();
  ranges_.reset();
  scales_.reserve(ranges.size());
  for (const Range& range : ranges) scales_.push_back(rule_.scale(range.lo, range.hi));
  overflow_ = round_scales(scale_dtype_of(request_.spec), scales_.data(), scales_.size());
  if (!rule_.has_zero_points()) return;
  zero_points_.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto zero = static_cast<std::int32_t>(rule_.zero_point(ranges[i].lo, scales_[i]));
    zero_points_.push_back(static_cast<std::uint8_t>(zero));
  }
}

void ScaledState::store(std::int64_t first_block, std::int64_t blocks, PartSpans parts) const {
  const auto first = static_cast<std::size_t>(first_block), count = static_cast<std::size_t>(blocks);
  store_scales(scale_dtype_of(request_.spec), scales_.data() + first, count, parts[kScale].data());
  if (!zero_points_.empty()) std::memcpy(parts[kZeroPoint].data(), zero_points_.data() + first, count);
}

void ScaledState::finish(PartSpans parts) const {
  if (!is_tiled(request_)) store(0, request_.layout.blocks(), parts);
}

EncodeCounts ScaledState::begin_tile(const Tile& tile, PartSpans parts) const {
  const BlockLayout& layout = request_.layout;
  if (source_ == Source::Data) {
    if (tile.cols == layout.matrix.cols) return {};
    throw Error(ErrorCode::Internal, "a tile of cut rows, but their scales follow from whole ones");
  }
  if (ranges_) throw Error(ErrorCode::Internal, "encode() before settle()");
  if (is_tiled(request_)) store(tile.row * layout.grid_cols, tile.rows * layout.grid_cols, parts);
  // Scales that overflowed are reported by one tile only: the one with the first element.
  return {.overflow = tile.row == 0 && tile.col == 0 ? overflow_ : 0};
}

// Returns how many scales became infinite, of those that follow from this strip.
std::int64_t ScaledState::params_of(const Tile& tile, const Strip& strip, const StripRanges& ranges,
                                    StripParams& params) const {
  if (source_ == Source::Data) return choose(strip, ranges, params);
  if (!rule_.has_zero_points()) std::fill_n(params.zero_point.begin(), strip.runs, rule_.common_zero_point());
  for_each_block(request_.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
    std::copy_n(scales_.data() + block, count, params.scale.data() + first);
    if (!rule_.has_zero_points()) return;
    load_zero_points(request_.spec, zero_points_.data() + block, count, params.zero_point.data() + first);
  });
  return 0;
}

// Replaces parameters that follow from the ranges by better ones, where there are any. Returns how many scales became
// infinite.
std::int64_t ScaledState::improve(const Strip& strip, const float* x, const StripRanges& ranges, StripSearch& search,
                                  StripParams& params) const {
  StripParams found;
  search.find(strip, x, ranges.data(), found.scale.data(), found.zero_point.data());
  const auto runs = static_cast<std::size_t>(strip.runs);
  for (std::size_t i = 0; i < runs; ++i) {
    if (found.scale[i] == 0) {
      found.scale[i] = params.scale[i];
      found.zero_point[i] = params.zero_point[i];
    }
  }
  params = found;
  return round_scales(scale_dtype_of(request_.spec), params.scale.data(), runs);
}

// One pass: every run of the strip is a whole block.
std::int64_t ScaledState::choose(const Strip& strip, const StripRanges& ranges, StripParams& params) const {
  const auto runs = static_cast<std::size_t>(strip.runs);
  for (std::size_t i = 0; i < runs; ++i) params.scale[i] = rule_.scale(ranges[i].lo, ranges[i].hi);
  const std::int64_t overflow = round_scales(scale_dtype_of(request_.spec), params.scale.data(), runs);
  if (rule_.has_zero_points()) {
    for (std::size_t i = 0; i < runs; ++i) params.zero_point[i] = rule_.zero_point(ranges[i].lo, params.scale[i]);
  } else {
    std::fill_n(params.zero_point.begin(), runs, rule_.common_zero_point());
  }
  return overflow;
}

// Blocks follow each other like the runs that they are.
void ScaledState::store_params(const Tile& tile, const Strip& strip, const StripParams& params, PartSpans parts) const {
  const BlockLayout& layout = request_.layout;
  const auto runs = static_cast<std::size_t>(strip.runs);
  const std::int64_t first = (strip.row - tile.row) * layout.grid_cols + strip.col / layout.run;
  const auto offset = static_cast<std::size_t>(first);
  store_scales(scale_dtype_of(request_.spec), params.scale.data(), runs,
               parts[kScale].data() + offset * scale_bytes(request_.spec));
  if (!rule_.has_zero_points()) return;
  std::byte* zero_points = parts[kZeroPoint].data() + offset;
  for (std::size_t i = 0; i < runs; ++i) {
    zero_points[i] = static_cast<std::byte>(static_cast<std::int32_t>(params.zero_point[i]));
  }
}

void check_scaled(const QuantSpec& spec) {
  const DType dtype = scale_dtype_of(spec);
  if (dtype == DType::Float32 || dtype == DType::Float16 || dtype == DType::BFloat16) return;
  refuse_scale_dtype(dtype, "f32, f16 or bf16");
}

void refuse_scale_dtype(DType found, const char* expected) {
  throw Error({.code = ErrorCode::Usage,
               .message = "scales cannot be stored in this type",
               .expected = expected,
               .found = std::string(to_string(found))});
}

void add_scale_parts(const CodecRequest& request, std::vector<PartInfo>& parts) {
  const BlockLayout& layout = request.layout;
  const bool tiled = is_tiled(request);
  const auto bytes = static_cast<std::int64_t>(scale_bytes(request.spec));
  parts.push_back({"scale", scale_dtype_of(request.spec), layout.grid_rows, layout.grid_cols * bytes, tiled});
  if (!has_zero_points(request.spec)) return;
  parts.push_back({"zero_point", request.spec.element, layout.grid_rows, layout.grid_cols, tiled});
}

std::int64_t scaled_state_bytes(const CodecRequest& request) {
  if (!scaled_observes(request)) return 0;
  const auto per_block = static_cast<std::int64_t>(sizeof(Range) + sizeof(float)) + has_zero_points(request.spec);
  return request.layout.blocks() * per_block;
}

bool scaled_observes(const CodecRequest& request) {
  return !is_tiled(request);
}

std::unique_ptr<CodecState> scaled_begin(const CodecRequest& request, const QParams* given) {
  return std::make_unique<ScaledState>(request, given);
}

EncodeCounts scaled_observe(CodecState& state, const Tile& tile, const float* x) {
  return static_cast<ScaledState&>(state).observe(tile, x);
}

void scaled_settle(CodecState& state) {
  static_cast<ScaledState&>(state).settle();
}

void scaled_finish(const CodecState& state, PartSpans parts) {
  static_cast<const ScaledState&>(state).finish(parts);
}

void load_params(const CodecRequest& request, const Tile& tile, const Strip& strip, ConstPartSpans parts,
                 StripParams& params) {
  const DType dtype = scale_dtype_of(request.spec);
  const std::size_t width = scale_bytes(request.spec);
  // Tiled parts begin with the tile's first row.
  const std::int64_t before = is_tiled(request) ? tile.row * request.layout.grid_cols : 0;
  const bool zero_points = has_zero_points(request.spec);
  if (!zero_points) {
    std::fill_n(params.zero_point.begin(), strip.runs, ParamRule(request.spec).common_zero_point());
  }
  for_each_block(request.layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
    const auto from = static_cast<std::size_t>(block - before);
    load_scales(dtype, parts[kScale].data() + from * width, static_cast<std::size_t>(count),
                params.scale.data() + first);
    if (!zero_points) return;
    const auto* stored = reinterpret_cast<const std::uint8_t*>(parts[kZeroPoint].data());
    load_zero_points(request.spec, stored + from, count, params.zero_point.data() + first);
  });
}

}  // namespace mq
