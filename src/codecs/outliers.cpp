// Integers beside a few whole columns of the weights that stay 16-bit floats (Dettmers et al., LLM.int8(): 8-bit Matrix
// Multiplication for Transformers at Scale, 2022): those in which a few large numbers would coarsen all the rest.
//
//   columns          with an importance those where it is largest, else those that hold the largest magnitudes; of
//                    equals the first; so many of them as the spec says
//   codes, scale, zero_point   as affine.cpp makes them of the matrix with 0 in these columns
//   outlier_columns  int32 [1, outliers], ascending
//   outlier_weight   float16 [rows, outliers], rounded to nearest even
#include "src/codecs/outliers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <string>

#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/nonfinite.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

// Parts after those of the integers.
constexpr std::size_t kOwnParts = 2;
constexpr int kDefaultOutliers = 16;

std::span<const SchemeInfo> list_schemes() {
  static const std::vector<SchemeInfo> kList = [] {
    struct Row {
      std::string_view name, description;
    };
    constexpr std::array<Row, 7> kRows{{
        {"int2_outliers", "integers of 2 bits beside columns of outliers in 16"},
        {"int3_outliers", "integers of 3 bits beside columns of outliers in 16"},
        {"int4_outliers", "integers of 4 bits beside columns of outliers in 16"},
        {"int5_outliers", "integers of 5 bits beside columns of outliers in 16"},
        {"int6_outliers", "integers of 6 bits beside columns of outliers in 16"},
        {"int7_outliers", "integers of 7 bits beside columns of outliers in 16"},
        {"int8_outliers", "integers of 8 bits beside columns of outliers in 16"},
    }};
    std::vector<SchemeInfo> list;
    for (const SchemeInfo& integers : kAffine.schemes()) {
      if (integers.spec.element != DType::Int8) continue;
      QuantSpec spec = integers.spec;
      spec.codec = kOutliers.name;
      spec.outliers = kDefaultOutliers;
      const Row& row = kRows[static_cast<std::size_t>(spec.bits - 2)];
      list.push_back({row.name, spec, row.description});
    }
    return list;
  }();
  return kList;
}

CodecRequest integers_of(const CodecRequest& request) {
  CodecRequest integers = request;
  integers.spec = spec_beside_outliers(request.spec);
  return integers;
}

void check(const QuantSpec& spec) {
  kAffine.check(spec_beside_outliers(spec));
  const auto* const channel = std::get_if<PerChannel>(&spec.granularity);
  const bool along_rows = (channel && channel->axis == 0) || std::holds_alternative<PerGroup>(spec.granularity);
  if (spec.outliers >= 1 && along_rows && spec.element == DType::Int8) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "outlier columns are split from signed integers whose scales belong to one row",
               .expected = "channel or gN, and at least one column",
               .found = to_string(spec.granularity) + ", " + std::to_string(spec.outliers) + " columns"});
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  const MatrixShape& matrix = request.layout.matrix;
  const std::int64_t count = request.spec.outliers;
  if (count >= matrix.cols) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "as many outlier columns as there are columns",
                 .expected = "fewer than " + std::to_string(matrix.cols),
                 .found = std::to_string(count),
                 .hint = "keep the tensor with --exclude, or split fewer with :oN"});
  }
  std::vector<PartInfo> list = kAffine.parts(integers_of(request));
  list.push_back({kOutlierColumns, DType::Int32, 1, count * info(DType::Int32).block_bytes, false});
  list.push_back({kOutlierWeight, DType::Float16, matrix.rows, count * info(DType::Float16).block_bytes});
  return list;
}

bool has_importance(const CodecRequest& request) {
  return is_search(request.search.effort) && request.search.objective == Objective::Importance &&
         !request.search.importance.empty();
}

class OutlierState final : public CodecState {
 public:
  explicit OutlierState(const CodecRequest& request) : request_(request), parts_(parts(request)) {
    if (request.two_pass) {
      throw Error(ErrorCode::Usage, "outlier columns are split from rows that are read whole");
    }
    if (has_importance(request)) {
      choose(request.search.importance);
    } else {
      largest_.resize(static_cast<std::size_t>(request.layout.matrix.cols));
    }
  }

  // The largest magnitude of each column, of all that is finite.
  EncodeCounts observe(const Tile& tile, const float* x) {
    const auto cols = static_cast<std::size_t>(tile.cols);
    std::vector<float> largest(cols);
    EncodeCounts counts;
    for (std::int64_t r = 0; r < tile.rows; ++r, x += tile.cols) {
      for (std::size_t c = 0; c < cols; ++c) {
        const float magnitude = std::fabs(x[c]);
        if (std::isfinite(magnitude)) {
          largest[c] = std::max(largest[c], magnitude);
        } else {
          ++counts.nonfinite;
        }
      }
    }
    const std::lock_guard lock(mutex_);
    float* const all = largest_.data() + tile.col;
    for (std::size_t c = 0; c < cols; ++c) all[c] = std::max(all[c], largest[c]);
    return counts;
  }

  void settle() { choose(std::exchange(largest_, {})); }

  EncodeCounts encode(const Tile& tile, const float* x, PartSpans spans) const {
    if (!integers_) throw Error(ErrorCode::Internal, "encode() before settle()");
    const std::int64_t band_rows = std::max<std::int64_t>(kStripNumel / tile.cols, 1);
    std::vector<std::span<std::byte>> band_spans(spans.size());
    EncodeCounts counts;
    for (std::int64_t row = 0; row < tile.rows; row += band_rows) {
      const Tile band{tile.row + row, std::min(band_rows, tile.rows - row), tile.col, tile.cols};
      for (std::size_t p = 0; p < spans.size(); ++p) {
        if (!parts_[p].tiled) continue;
        const std::size_t row_bytes = spans[p].size() / static_cast<std::size_t>(tile.rows);
        band_spans[p] = spans[p].subspan(static_cast<std::size_t>(row) * row_bytes,
                                         static_cast<std::size_t>(band.rows) * row_bytes);
      }
      counts.add(encode_band(band, x + row * tile.cols, band_spans));
    }
    if (!has_importance(request_)) counts.nonfinite = 0;  // counted before
    return counts;
  }

  void finish(PartSpans spans) const {
    kAffine.finish(*integers_, spans.first(spans.size() - kOwnParts));
    std::memcpy(spans[spans.size() - kOwnParts].data(), columns_.data(), columns_.size() * sizeof(std::int32_t));
  }

 private:
  void choose(std::span<const float> scores) {
    std::vector<std::int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto count = static_cast<std::ptrdiff_t>(request_.spec.outliers);
    std::ranges::partial_sort(order, order.begin() + count, [&](std::int32_t a, std::int32_t b) {
      const float left = scores[static_cast<std::size_t>(a)], right = scores[static_cast<std::size_t>(b)];
      return left > right || (left == right && a < b);
    });
    columns_.assign(order.begin(), order.begin() + count);
    std::ranges::sort(columns_);
    integers_ = kAffine.begin(integers_of(request_), nullptr);
  }

  EncodeCounts encode_band(const Tile& band, const float* x, PartSpans spans) const {
    std::vector<float> rest(x, x + band.rows * band.cols);
    std::vector<float> weights, finite;
    weights.reserve(static_cast<std::size_t>(band.rows) * columns_.size());
    for (std::int64_t r = 0; r < band.rows; ++r) {
      for (const std::int32_t column : columns_) {
        weights.push_back(std::exchange(rest[static_cast<std::size_t>(r * band.cols + column)], 0.0f));
      }
    }
    EncodeCounts counts = kAffine.encode(*integers_, band, rest.data(), spans.first(spans.size() - kOwnParts), nullptr);
    counts.nonfinite += std::ranges::count_if(weights, [](float w) { return !std::isfinite(w); });
    const float* const from = request_.allow_nonfinite
                                  ? finite_values(weights.data(), static_cast<std::int64_t>(weights.size()), finite)
                                  : weights.data();
    store(from, weights.size(), spans.back().data(), counts);
    return counts;
  }

  // As float16, which ends at 65504.
  static void store(const float* weights, std::size_t n, std::byte* to, EncodeCounts& counts) {
    constexpr float kBeyond = 65520;  // rounds to infinity
    counts.overflow +=
        std::count_if(weights, weights + n, [](float w) { return std::isfinite(w) && std::fabs(w) >= kBeyond; });
    std::vector<std::uint16_t> halves(n);
    active_table().f32_to_f16(weights, n, halves.data());
    std::memcpy(to, halves.data(), n * sizeof(std::uint16_t));
  }

  CodecRequest request_;
  std::vector<PartInfo> parts_;
  std::mutex mutex_;
  std::vector<float> largest_;  // of each column, while observing
  std::vector<std::int32_t> columns_;
  std::unique_ptr<CodecState> integers_;
};

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  kAffine.decode(integers_of(request), tile, spans.first(spans.size() - kOwnParts), y);
  const std::span<const std::byte> columns = spans[spans.size() - kOwnParts], weights = spans.back();
  const auto count = static_cast<std::size_t>(request.spec.outliers);
  std::vector<float> row(count);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const auto halves = weights.subspan(static_cast<std::size_t>(r) * count * sizeof(std::uint16_t));
    load_scales(DType::Float16, halves.data(), count, row.data());
    for (std::size_t i = 0; i < count; ++i) {
      std::int32_t column = 0;
      std::memcpy(&column, columns.data() + i * sizeof column, sizeof column);
      if (column >= tile.col && column - tile.col < tile.cols) y[r * tile.cols + column - tile.col] = row[i];
    }
  }
}

}  // namespace

bool are_ascending_columns(std::span<const std::int32_t> columns, std::int64_t cols) noexcept {
  if (columns.empty()) return true;
  return columns.front() >= 0 && columns.back() < cols &&
         std::ranges::adjacent_find(columns, std::ranges::greater_equal()) == columns.end();
}

QuantSpec spec_beside_outliers(QuantSpec spec) {
  spec.codec = kAffine.name;
  spec.outliers = 0;
  return spec;
}

constinit const Codec kOutliers = {
    .name = "outliers",
    .options = {.granularity = true, .rows_only = true, .mapping = true, .activation = true, .outliers = true},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .state_bytes =
        [](const CodecRequest& request) {
          return kAffine.state_bytes(integers_of(request)) +
                 request.layout.matrix.cols * static_cast<std::int64_t>(sizeof(float) + sizeof(std::int32_t));
        },
    .observes = [](const CodecRequest& request) { return !has_importance(request); },
    .searches =
        [](const CodecRequest& request) {
          const bool by_statistics =
              is_search(request.search.effort) && request.search.objective == Objective::Importance;
          return !request.two_pass && (by_statistics || kAffine.searches(integers_of(request)));
        },
    .begin = [](const CodecRequest& request, const QParams* given) -> std::unique_ptr<CodecState> {
      if (given != nullptr) throw Error(ErrorCode::Usage, "outlier columns take no parameters from outside");
      return std::make_unique<OutlierState>(request);
    },
    .observe = [](CodecState& state, const Tile& tile,
                  const float* x) { return static_cast<OutlierState&>(state).observe(tile, x); },
    .settle = [](CodecState& state) { static_cast<OutlierState&>(state).settle(); },
    .encode = [](const CodecState& state, const Tile& tile, const float* x, PartSpans spans,
                 ErrorStats*) { return static_cast<const OutlierState&>(state).encode(tile, x, spans); },
    .finish = [](const CodecState& state, PartSpans spans) { static_cast<const OutlierState&>(state).finish(spans); },
    .decode = decode,
};

}  // namespace mq
