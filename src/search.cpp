#include "src/search.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "mq/error.hpp"
#include "src/active_table.hpp"
#include "src/codecs/levels.hpp"

namespace mq {
namespace {

constexpr std::array<std::string_view, kEfforts.size()> kEffortNames = {"fast", "search", "max", "reference"};
constexpr std::array<std::string_view, 4> kObjectiveNames = {"mse", "magnitude", "x2", "importance"};
constexpr std::string_view kNormName = "lp:";

// What of AffineSearch depends on the width of a code, found by comparing with the best of all scales on weights of
// normal and of heavy-tailed distributions, in blocks of 32 to 4096. Wide codes want fine steps: a small change of the
// scale moves many of them.
struct Grid {
  float shrink, grow, crest;
  std::uint32_t candidates, refinements;
};
constexpr Grid grid_of(int bits) {
  if (bits <= 4) return {0.9f, 1.2f, 2.4f, 16, 2};
  if (bits == 5) return {0.9f, 1.2f, 2.6f, 16, 2};
  if (bits == 6) return {0.93f, 1.12f, 2.8f, 24, 2};
  return {0.97f, 1.03f, 3.4f, 32, 2};
}

void magnitudes(const float* x, std::int64_t runs, std::int64_t run, float* weights) {
  for (std::int64_t r = 0; r < runs; ++r, x += run, weights += run) {
    float sum = 0;
    for (std::int64_t i = 0; i < run; ++i) sum += std::isfinite(x[i]) ? x[i] * x[i] : 0;
    const float rms = std::sqrt(sum / static_cast<float>(run));
    for (std::int64_t i = 0; i < run; ++i) weights[i] = std::isfinite(x[i]) ? rms + std::fabs(x[i]) : 0;
  }
}

void squares(const float* x, std::int64_t n, float* weights) {
  for (std::int64_t i = 0; i < n; ++i) weights[i] = std::isfinite(x[i]) ? x[i] * x[i] : 0;
}

// Brings the weights of each run to a mean of 1, as far as that is possible, so that no sum of them overflows.
void normalize(float* weights, std::int64_t runs, std::int64_t run) {
  for (std::int64_t r = 0; r < runs; ++r, weights += run) {
    double sum = 0;
    for (std::int64_t i = 0; i < run; ++i) sum += static_cast<double>(weights[i]);
    const double factor = sum > 0 ? static_cast<double>(run) / sum : 0;
    for (std::int64_t i = 0; i < run; ++i) {
      weights[i] = static_cast<float>(static_cast<double>(weights[i]) * factor);
    }
  }
}

}  // namespace

std::string_view to_string(Effort effort) noexcept {
  return kEffortNames[static_cast<std::size_t>(effort)];
}

std::string to_string(const Objective& objective) {
  if (objective.kind != Objective::Kind::Norm)
    return std::string(kObjectiveNames[static_cast<std::size_t>(objective.kind)]);
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), objective.norm).ptr;
  return std::string(kNormName) + std::string(digits.data(), end);
}

std::optional<Objective> parse_objective(std::string_view text) {
  for (std::size_t i = 0; i < kObjectiveNames.size(); ++i) {
    if (text == kObjectiveNames[i]) return Objective{static_cast<Objective::Kind>(i)};
  }
  if (!text.starts_with(kNormName)) return std::nullopt;
  text.remove_prefix(kNormName.size());
  Objective objective{.kind = Objective::Kind::Norm};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), objective.norm);
  const bool number = error == std::errc() && end == text.data() + text.size();
  if (!number || !(objective.norm >= Objective::kLeastNorm && objective.norm <= Objective::kLargestNorm)) {
    return std::nullopt;
  }
  return objective;
}

bool gains_by_search(const QuantSpec& spec, std::int64_t run) noexcept {
  constexpr std::int64_t kLargeBlock = 128;
  if (!spec.is_integer()) return level_format(spec) != nullptr;
  return spec.bits <= 6 || run <= kLargeBlock;
}

void require_importance(const SearchOptions& options, std::int64_t cols, std::string_view tensor_name) {
  if (!is_search(options.effort) || options.objective != Objective::Importance) return;
  const std::span<const float> found = options.importance;
  if (found.size() != static_cast<std::size_t>(cols)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "the importance does not fit the columns",
                 .tensor = std::string(tensor_name),
                 .expected = std::to_string(cols) + " values",
                 .found = std::to_string(found.size())});
  }
  const auto bad = std::ranges::find_if(found, [](float v) { return !(v >= 0 && std::isfinite(v)); });
  if (bad == found.end()) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "an importance cannot be used",
               .tensor = std::string(tensor_name),
               .expected = "finite values that are not negative",
               .found = std::to_string(*bad) + " for column " + std::to_string(bad - found.begin())});
}

kernels::AffineSearch affine_search(const QuantSpec& spec) {
  if (const LevelFormat* format = level_format(spec)) {
    return {.levels = &format->levels,
            .code_min = -format->largest(),
            .code_max = format->largest(),
            .zero_point = 0,
            .own_zero_points = false,
            .either_sign = spec.range == RangeKind::Signed,
            .both_signs = spec.range == RangeKind::Signed,
            .shrink = 0.8f,
            .grow = 1.3f,
            .crest = 3.0f,
            .candidates = 16,
            .refinements = 2};
  }
  const ParamRule rule(spec);
  const Grid grid = grid_of(spec.bits);
  const bool either_sign = spec.mapping == Mapping::Symmetric && spec.range == RangeKind::Signed;
  return {.levels = nullptr,
          .code_min = rule.code_min(),
          .code_max = rule.code_max(),
          .zero_point = rule.common_zero_point(),
          .own_zero_points = rule.has_zero_points(),
          .either_sign = either_sign,
          .both_signs = either_sign && spec.bits <= 3,
          .shrink = grid.shrink,
          .grow = grid.grow,
          .crest = grid.crest,
          .candidates = grid.candidates,
          .refinements = grid.refinements};
}

kernels::MinSearch min_search(int most, bool min_below_zero, bool thorough) {
  float shrink = 0.9f, grow = 1.06f;
  if (most <= 3) {
    grow = 1.5f;
  } else if (most <= 7) {
    grow = 1.25f;
  } else if (most <= 15) {
    grow = 1.12f;
  } else if (most > 63) {
    shrink = 0.99f;
    grow = 1.01f;
  }
  return {.code_max = static_cast<float>(most),
          .min_below_zero = min_below_zero,
          .shrink = shrink,
          .grow = grow,
          // Super-blocks choose among multiples of what is found: a coarser grid is as good.
          .candidates = thorough         ? 128u
                        : min_below_zero ? 16u
                                         : 24u,
          .refinements = thorough ? 4u : 1u};
}

const float* SearchWeights::of(const Strip& strip, const float* x) {
  const Objective::Kind kind = options_.objective.kind;
  if (kind == Objective::Kind::SquaredError || kind == Objective::Kind::Norm) return nullptr;
  const std::int64_t n = strip.runs * strip.run;
  if (buffer_.size() < static_cast<std::size_t>(n)) buffer_.resize(static_cast<std::size_t>(n));
  switch (kind) {
    case Objective::Kind::Importance: {
      auto column = static_cast<std::size_t>(strip.col);
      for (std::int64_t i = 0; i < n; ++i) {
        buffer_[static_cast<std::size_t>(i)] = options_.importance[column];
        if (++column == options_.importance.size()) column = 0;
      }
      break;
    }
    case Objective::Kind::Square:
      squares(x, n, buffer_.data());
      break;
    default:
      magnitudes(x, strip.runs, strip.run, buffer_.data());
      break;
  }
  normalize(buffer_.data(), strip.runs, strip.run);
  return buffer_.data();
}

StripSearch::StripSearch(const QuantSpec& spec, const SearchOptions& options)
    : how_(), weights_(options), reconstruction_(spec) {
  if (options.objective.kind == Objective::Kind::Norm) norm_.emplace(options.objective.norm);
  if (scale_dtype_of(spec) == DType::Float8E8M0FNU) {
    powers_.emplace(spec);
    return;
  }
  how_ = affine_search(spec);
  if (options.effort == Effort::Max) exact_.emplace(how_);
}

void StripSearch::find(const Strip& strip, const float* x, const kernels::Range* ranges, float* scale,
                       float* zero_point) {
  const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
  const kernels::SearchBlocks blocks{x, weights_.of(strip, x), runs, run, ranges};
  if (norm_) {
    find_for_norm(blocks, scale, zero_point);
  } else {
    find_weighted(blocks, scale, zero_point);
  }
}

void StripSearch::find_weighted(const kernels::SearchBlocks& blocks, float* scale, float* zero_point) {
  if (powers_) return powers_->find(blocks, scale);
  if (!exact_) return active_table().search_affine(how_, blocks, scale, zero_point);
  for (std::size_t r = 0; r < blocks.rows; ++r) {
    const float* const weights = blocks.weights == nullptr ? nullptr : blocks.weights + r * blocks.run;
    const BlockFit fit = exact_->find({blocks.x + r * blocks.run, blocks.run}, weights);
    scale[r] = fit.scale;
    zero_point[r] = fit.zero_point;
  }
}

void StripSearch::find_for_norm(const kernels::SearchBlocks& blocks, float* scale, float* zero_point) {
  std::vector<float> scales(blocks.rows), zero_points(blocks.rows), usable(blocks.rows);
  const auto attempt = [&](const float* weights) {
    kernels::SearchBlocks weighted = blocks;
    weighted.weights = weights;
    find_weighted(weighted, scales.data(), zero_points.data());
    std::ranges::transform(scales, usable.begin(), [](float s) { return s == 0 ? 1.0f : s; });
    return reconstruction_.values(blocks, usable.data(), zero_points.data());
  };
  norm_->find(blocks.x, blocks.rows, blocks.run, attempt, [&](std::size_t r) {
    scale[r] = scales[r];
    zero_point[r] = zero_points[r];
  });
}

}  // namespace mq
