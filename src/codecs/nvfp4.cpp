// NVIDIA's 4-bit floats: E2M1 codes, an E4M3 scale for every 16 weights of a row, one multiplier for the tensor:
//
//   g = 448 * 6 / absmax of the tensor, or of all that share g (CodecRequest::range), 1 if that is 0
//   s = e4m3(absmax of the block / 6 * g), 0.125 if it is 0
//   q = e2m1(x / (s / g)), ties to the even code
//   y = e2m1(q) * (s / g)
//
// g is stored as the float32 part "global_scale": the form of compressed-tensors. Codes are stored one per byte, or
// packed, element 2k of a row in the low nibble of byte k. A search tries the six scales below and above.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "mq/pack.hpp"
#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/levels.hpp"
#include "src/nonfinite.hpp"
#include "src/norm_search.hpp"
#include "src/reconstruction.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

constexpr std::int64_t kBlock = 16;
constexpr std::uint8_t kLargestScale = 0x7e, kZeroScale = 0x20;  // 448; 0.125, which stands for 0
constexpr float kLargestValue = 448.0f * 6.0f;
constexpr int kNeighbours = 6;                              // codes that a search tries on each side
constexpr std::size_t kCodes = 0, kScale = 1, kGlobal = 2;  // indices of the parts

std::span<const SchemeInfo> list_schemes() {
  static const std::array<SchemeInfo, 1> rows{{{"nvfp4",
                                                {.codec = "nvfp4",
                                                 .element = DType::UInt8,
                                                 .bits = 4,
                                                 .granularity = PerGroup{kBlock},
                                                 .scale_dtype = DType::Float8E4M3FN},
                                                "4-bit floats (E2M1), an 8-bit float for 16 weights"}}};
  return rows;
}

void check(const QuantSpec& spec) {
  QuantSpec alone = spec;
  alone.activation.reset();
  if (alone == list_schemes()[0].spec) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "nvfp4 has no options but +nvfp4",
               .expected = "groups of 16, scales of f8_e4m3"});
}

// Never -0.
float absmax_of(const kernels::Range& range) {
  return std::max({0.0f, -range.lo, range.hi});
}

bool is_tiled(const CodecRequest& request) {
  return request.layout.matrix.numel() > 0 && !request.two_pass;
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  const BlockLayout& layout = request.layout;
  const MatrixShape& matrix = layout.matrix;
  const bool packed = request.form == CodeForm::Packed;
  return {{"codes", DType::UInt8, matrix.rows, packed ? packed_row_bytes(matrix.cols, 4) : matrix.cols},
          {"scale", DType::Float8E4M3FN, layout.grid_rows, layout.grid_cols, is_tiled(request)},
          {"global_scale", DType::Float32, 1, sizeof(float), false}};
}

class Nvfp4State final : public CodecState {
 public:
  explicit Nvfp4State(const CodecRequest& asked) : request(asked) {
    if (!is_tiled(request)) scales.resize(static_cast<std::size_t>(request.layout.blocks()), kZeroScale);
    if (request.range) set_global(std::max({0.0f, -request.range->lo, request.range->hi}));
  }

  void set_global(float absmax) {
    const float quotient = kLargestValue / absmax;
    global = std::isfinite(quotient) ? quotient : 1.0f;
  }

  CodecRequest request;
  // Of a float that is not negative: such bits are ordered like the numbers.
  std::atomic<std::uint32_t> absmax_bits = 0;
  float global = 1;
  mutable std::vector<std::uint8_t> scales;  // of all blocks, where tiles do not give them
};

std::int64_t state_bytes(const CodecRequest& request) {
  return is_tiled(request) ? 0 : request.layout.blocks();
}

bool observes(const CodecRequest& request) {
  return !request.range;
}

bool searches(const CodecRequest& request) {
  return is_search(request.search.effort);
}

std::unique_ptr<CodecState> begin(const CodecRequest& request, const QParams* given) {
  if (given != nullptr) throw Error(ErrorCode::Usage, "nvfp4 takes no parameters from outside");
  return std::make_unique<Nvfp4State>(request);
}

EncodeCounts observe(CodecState& base, const Tile& tile, const float* x) {
  auto& state = static_cast<Nvfp4State&>(base);
  kernels::Range all{};
  active_table().range(x, 1, static_cast<std::size_t>(tile.rows * tile.cols), &all);
  const auto bits = std::bit_cast<std::uint32_t>(absmax_of(all));
  std::uint32_t most = state.absmax_bits.load();
  while (bits > most && !state.absmax_bits.compare_exchange_weak(most, bits)) {
  }
  return {.nonfinite = static_cast<std::int64_t>(all.nonfinite)};
}

void settle(CodecState& base) {
  auto& state = static_cast<Nvfp4State&>(base);
  state.set_global(std::bit_cast<float>(state.absmax_bits.load()));
}

// The scales of a tile's blocks, and what they are worth.
class ScaleChooser {
 public:
  ScaleChooser(const Nvfp4State& state, SearchWeights& weights) : state_(state), weights_(weights) {}

  void choose(const Strip& strip, const float* x, std::uint8_t* codes, float* scales) {
    const kernels::KernelTable& k = active_table();
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    ranges_.resize(runs);
    k.range(x, runs, run, ranges_.data());
    for (std::size_t r = 0; r < runs; ++r) {
      scales[r] = absmax_of(ranges_[r]) / 6.0f * state_.global;
    }
    k.f32_to_e4m3(scales, runs, codes);
    for (std::size_t r = 0; r < runs; ++r) {
      if (codes[r] == 0) codes[r] = kZeroScale;
    }
    if (is_search(state_.request.search.effort)) improve(strip, x, codes);
    k.e4m3_to_f32(codes, runs, scales);
    for (std::size_t r = 0; r < runs; ++r) scales[r] /= state_.global;
  }

 private:
  // Keeps blocks of zeros as they are: no scale takes anything off their error.
  void improve(const Strip& strip, const float* x, std::uint8_t* codes) {
    constexpr std::size_t kChoices = 2 * kNeighbours + 1;
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    candidates_.resize(kChoices * runs);
    candidate_codes_.resize(kChoices * runs);
    best_.resize(runs);
    for (std::size_t i = 0; i < kChoices; ++i) {
      // 0, -1, 1, -2, 2...: of equally good scales the nearest one.
      const int step = static_cast<int>(i + 1) / 2 * (i % 2 == 0 ? 1 : -1);
      for (std::size_t r = 0; r < runs; ++r) {
        candidate_codes_[i * runs + r] = static_cast<std::uint8_t>(std::clamp<int>(codes[r] + step, 1, kLargestScale));
      }
    }
    active_table().e4m3_to_f32(candidate_codes_.data(), candidates_.size(), candidates_.data());
    for (float& scale : candidates_) scale /= state_.global;
    const kernels::Levels& levels = level_format(state_.request.spec)->levels;
    kernels::SearchBlocks blocks{x, weights_.of(strip, x), runs, run, ranges_.data()};
    const auto keep = [&](std::size_t r) { codes[r] = candidate_codes_[best_[r] * runs + r]; };
    const auto choose = [&](const float* weights) {
      blocks.weights = weights;
      active_table().choose_scale(levels, blocks, candidates_.data(), kChoices, best_.data());
    };
    const Objective& objective = state_.request.search.objective;
    if (objective.kind != Objective::Kind::Norm) {
      choose(blocks.weights);
      for (std::size_t r = 0; r < runs; ++r) keep(r);
      return;
    }
    Reconstruction reconstruction(state_.request.spec);
    std::vector<float> scales(runs);
    const auto attempt = [&](const float* weights) {
      choose(weights);
      for (std::size_t r = 0; r < runs; ++r) scales[r] = candidates_[best_[r] * runs + r];
      return reconstruction.values(blocks, scales.data(), nullptr);
    };
    NormSearch(objective.norm).find(x, runs, run, attempt, keep);
  }

  const Nvfp4State& state_;
  SearchWeights& weights_;
  std::vector<kernels::Range> ranges_;
  std::vector<float> candidates_;
  std::vector<std::uint8_t> candidate_codes_, best_;
};

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const auto& state = static_cast<const Nvfp4State&>(base);
  const BlockLayout& layout = state.request.layout;
  const bool packed = state.request.form == CodeForm::Packed;
  auto* const stored = reinterpret_cast<std::uint8_t*>(spans[kCodes].data());
  std::vector<std::uint8_t> loose(packed ? static_cast<std::size_t>(tile.rows * tile.cols) : 0);
  std::uint8_t* const codes = packed ? loose.data() : stored;
  SearchWeights weights(state.request.search);
  ScaleChooser chooser(state, weights);
  std::array<float, kStripRuns> scales;
  std::vector<float> finite;
  EncodeCounts counts;
  // Strips within rows: a tile may be cut, and its blocks then do not follow each other.
  for_each_strip(layout, tile, false, [&](const Strip& strip) {
    const std::int64_t block = strip.row * layout.grid_cols + strip.col / kBlock;
    std::uint8_t* const scale_codes = state.scales.empty() ? reinterpret_cast<std::uint8_t*>(spans[kScale].data()) +
                                                                 (block - tile.row * layout.grid_cols)
                                                           : state.scales.data() + block;
    const float* in = x + strip.offset;
    if (state.request.range) {
      // Not counted by a first pass.
      kernels::Range all{};
      active_table().range(in, 1, static_cast<std::size_t>(strip.runs * strip.run), &all);
      counts.nonfinite += static_cast<std::int64_t>(all.nonfinite);
    }
    if (state.request.allow_nonfinite) in = finite_values(in, strip.runs * strip.run, finite);
    chooser.choose(strip, in, scale_codes, scales.data());
    active_table().quantize_levels(level_format(state.request.spec)->levels, in, static_cast<std::size_t>(strip.runs),
                                   static_cast<std::size_t>(strip.run), scales.data(), codes + strip.offset);
  });
  if (packed) pack_nibble_rows(codes, tile, stored);
  return counts;
}

void finish(const CodecState& base, PartSpans parts) {
  const auto& state = static_cast<const Nvfp4State&>(base);
  if (!state.scales.empty()) std::memcpy(parts[kScale].data(), state.scales.data(), state.scales.size());
  std::memcpy(parts[kGlobal].data(), &state.global, sizeof state.global);
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const BlockLayout& layout = request.layout;
  const auto* const scale_codes = reinterpret_cast<const std::uint8_t*>(spans[kScale].data());
  const std::int64_t before = is_tiled(request) ? tile.row * layout.grid_cols : 0;
  float global = 1;
  std::memcpy(&global, spans[kGlobal].data(), sizeof global);
  std::vector<std::uint8_t> loose;
  const std::uint8_t* const codes = nibble_rows(request.form, tile, spans[kCodes], loose);
  std::array<float, kStripRuns> scales;
  for_each_strip(layout, tile, false, [&](const Strip& strip) {
    const auto runs = static_cast<std::size_t>(strip.runs);
    const std::int64_t block = strip.row * layout.grid_cols + strip.col / kBlock;
    active_table().e4m3_to_f32(scale_codes + (block - before), runs, scales.data());
    for (std::size_t r = 0; r < runs; ++r) scales[r] /= global;
    active_table().dequantize_levels(level_format(request.spec)->levels, codes + strip.offset, runs,
                                     static_cast<std::size_t>(strip.run), scales.data(), y + strip.offset);
  });
}

}  // namespace

constinit const Codec kNvfp4 = {
    .name = "nvfp4",
    .options = {.activation = true},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .state_bytes = state_bytes,
    .observes = observes,
    .searches = searches,
    .begin = begin,
    .observe = observe,
    .settle = settle,
    .encode = encode,
    .finish = finish,
    .decode = decode,
};

}  // namespace mq
