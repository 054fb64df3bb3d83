#include "src/compare_tensor.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>

#include "src/matrix_reader.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

// Beyond this many channels along the columns, sums for each of them would cost more memory than the tiles.
constexpr std::int64_t kMaxColumnChannels = 16384;

// Errors of one tile: of every row of it, and of every channel if channels lie along the columns.
struct TileErrors {
  std::vector<ErrorStats> rows;
  std::vector<ErrorStats> channels;
  std::vector<float> x;
  std::vector<float> y;
  Scratch scratch;
};

// How channels lie in the matrix that both readers show.
struct View {
  LogicalTensor a;
  LogicalTensor b;
  bool transposed = false;
  bool one_channel = false;
  std::optional<BlockLayout> columns;  // channels along the columns
};

View make_view(const LogicalTensor& a, const LogicalTensor& b, TensorKind kind) {
  View view{a, b, false, false, std::nullopt};
  const std::size_t rank = a.info.shape.size();
  // Plain tensors can be seen as any matrix; encoded ones have theirs.
  int leading = b.spec ? b.leading_dims : a.leading_dims;
  const bool in_order = a.interleaved_heads == 0 && b.interleaved_heads == 0;
  if (rank < 2 && !a.spec && !b.spec && in_order) leading = 0;
  if (!a.spec) view.a.leading_dims = leading;
  if (!b.spec) view.b.leading_dims = a.spec ? a.leading_dims : leading;
  view.one_channel = rank < 2;
  const auto* channel = b.spec ? std::get_if<PerChannel>(&b.spec->granularity) : nullptr;
  const bool on_axis_1 = kind == TensorKind::Conv1D || kind == TensorKind::ConvTranspose || a.transposed ||
                         b.transposed || (channel && channel->axis == 1);
  if (!on_axis_1 || rank < 2 || view.b.leading_dims != 1) return view;
  if (rank == 2) {
    view.transposed = true;
  } else if (a.info.shape[1] <= kMaxColumnChannels) {
    view.columns = make_block_layout(a.info.shape, matrix_shape(a.info.shape), PerChannel{1});
  }
  return view;
}

// An infinity or a NaN that both sides have is no error, but the difference of the two is not a number.
void forgive_equal(ErrorStats& stats, std::span<const float> x, std::span<const float> y) {
  if (std::isfinite(stats.error_sq) || std::memcmp(x.data(), y.data(), x.size_bytes()) != 0) return;
  stats.error_sq = 0;
  stats.max_error = 0;
}

ErrorStats measure_run(std::span<const float> x, std::span<const float> y) {
  ErrorStats stats = measure(x.data(), y.data(), 1, static_cast<std::int64_t>(x.size()));
  forgive_equal(stats, x, y);
  return stats;
}

void measure_columns(const BlockLayout& layout, const Tile& tile, std::span<const float> x, std::span<const float> y,
                     TileErrors& out) {
  out.channels.assign(static_cast<std::size_t>(layout.grid_cols), {});
  std::size_t at = 0;
  for (std::int64_t r = tile.row; r < tile.row + tile.rows; ++r) {
    for (std::int64_t c = tile.col; c < tile.col + tile.cols;) {
      const std::int64_t end = std::min((c / layout.run + 1) * layout.run, tile.col + tile.cols);
      const auto count = static_cast<std::size_t>(end - c);
      const auto channel = static_cast<std::size_t>(c / layout.run % layout.grid_cols);
      out.channels[channel].add(measure_run(x.subspan(at, count), y.subspan(at, count)));
      at += count;
      c = end;
    }
  }
}

void measure_tile(const View& view, const Tile& tile, TileErrors& out) {
  const auto cols = static_cast<std::size_t>(tile.cols);
  const std::span<const float> x(out.x.data(), static_cast<std::size_t>(tile.rows) * cols);
  const std::span<const float> y(out.y.data(), x.size());
  out.rows.resize(static_cast<std::size_t>(tile.rows));
  for (std::size_t r = 0; r < out.rows.size(); ++r) {
    out.rows[r] = measure_run(x.subspan(r * cols, cols), y.subspan(r * cols, cols));
  }
  if (view.columns) measure_columns(*view.columns, tile, x, y, out);
}

// Adds tiles up in their order.
class Sum {
 public:
  explicit Sum(const View& view) : view_(view) { result_.worst_db = std::numeric_limits<double>::infinity(); }

  void add(const Tile& tile, bool ends_rows, const TileErrors& errors) {
    if (tile.col == 0) band_.assign(errors.rows.size(), {});
    for (std::size_t r = 0; r < band_.size(); ++r) band_[r].add(errors.rows[r]);
    if (view_.columns) {
      channels_.resize(errors.channels.size());
      for (std::size_t c = 0; c < channels_.size(); ++c) channels_[c].add(errors.channels[c]);
    }
    if (!ends_rows) return;
    for (std::size_t r = 0; r < band_.size(); ++r) {
      result_.total.add(band_[r]);
      if (!view_.columns && !view_.one_channel) offer(tile.row + static_cast<std::int64_t>(r), band_[r]);
    }
  }

  ChannelError finish() {
    for (std::size_t c = 0; c < channels_.size(); ++c) offer(static_cast<std::int64_t>(c), channels_[c]);
    if (view_.one_channel) result_.worst_db = result_.total.sqnr_db();
    return result_;
  }

 private:
  void offer(std::int64_t channel, const ErrorStats& stats) {
    const double db = stats.sqnr_db();
    // A channel that is not a number is worse than any that is; the first of equals counts.
    if (std::isnan(result_.worst_db) || (!std::isnan(db) && db >= result_.worst_db)) return;
    result_.worst_db = db;
    result_.worst_channel = channel;
  }

  const View& view_;
  ChannelError result_;
  std::vector<ErrorStats> band_;
  std::vector<ErrorStats> channels_;
};

}  // namespace

bool comparable(const LogicalTensor& a, const LogicalTensor& b) {
  if (a.info.shape != b.info.shape) return false;
  return !a.spec || !b.spec || a.leading_dims == b.leading_dims;
}

ChannelError compare_floats(const Checkpoint& original, const LogicalTensor& a, const Checkpoint& other,
                            const LogicalTensor& b, TensorKind kind, Executor& executor) {
  const View view = make_view(a, b, kind);
  const MatrixReader reader_a(original, view.a, view.transposed);
  const MatrixReader reader_b(other, view.b, view.transposed);
  const bool strips =
      view.transposed != a.transposed || view.transposed != b.transposed || stores_strips(a) || stores_strips(b);
  const TileGrid grid = make_reading_grid(reader_a.shape(), strips);
  Sum sum(view);
  std::vector<TileErrors> window(static_cast<std::size_t>(2 * executor.concurrency()));
  const auto width = static_cast<std::int64_t>(window.size());
  for (std::int64_t first = 0; first < grid.count(); first += width) {
    const std::int64_t count = std::min(width, grid.count() - first);
    executor.parallel_for(count, [&](std::int64_t i) {
      const Tile tile = grid.tile(first + i);
      TileErrors& errors = window[static_cast<std::size_t>(i)];
      errors.x.resize(static_cast<std::size_t>(tile.rows * tile.cols));
      errors.y.resize(errors.x.size());
      reader_a.read(tile, errors.x.data(), errors.scratch);
      reader_b.read(tile, errors.y.data(), errors.scratch);
      measure_tile(view, tile, errors);
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const Tile tile = grid.tile(first + i);
      sum.add(tile, tile.col + tile.cols == grid.matrix.cols, window[static_cast<std::size_t>(i)]);
    }
  }
  return sum.finish();
}

bool equal_bytes(const Checkpoint& original, std::size_t a, const Checkpoint& other, std::size_t b) {
  constexpr std::int64_t kPortionBytes = 1 << 20;
  const TensorInfo& tensor = original.tensors()[a];
  const DTypeInfo& type = info(tensor.dtype);
  const std::int64_t portion = kPortionBytes / type.block_bytes * type.block_numel;
  const std::int64_t numel = tensor.numel();
  std::vector<std::byte> x;
  std::vector<std::byte> y;
  for (std::int64_t first = 0; first < numel; first += portion) {
    const std::int64_t count = std::min(portion, numel - first);
    x.resize(static_cast<std::size_t>(bytes_of(tensor.dtype, count)));
    y.resize(x.size());
    original.read(a, first, count, x);
    other.read(b, first, count, y);
    if (x != y) return false;
  }
  return true;
}

}  // namespace mq
