#include "src/matmul_run.hpp"

#include <algorithm>
#include <atomic>

#include "src/active_table.hpp"

namespace mq::detail {
namespace {

constexpr std::size_t kColumns = kernels::kPanelColumns;
constexpr std::size_t kOctet = kernels::kOctet;
// Weights that stay in the second cache while all tiles pass.
constexpr std::size_t kGroupBytes = 448u << 10;
// Where the activations stay there too, less: the next weights are fetched meanwhile.
constexpr std::size_t kSmallBytes = 208u << 10;
constexpr std::size_t kLine = 64;

// Sizes as packed bytes of one block would have.
PackedSizes sizes_of_floats(const PackedHeader& header) {
  PackedHeader plain = header;
  plain.kind = PackedKind::E4m3;
  plain.block = header.k;
  return PackedSizes(plain);
}

}  // namespace

// Packed activations. Rows are spread evenly over as few tiles as there must be.
struct MatmulRun::Band {
  std::int64_t first = 0;  // row of the activations
  std::size_t rows = 0;
  std::size_t tiles = 0;
  std::int8_t* codes = nullptr;
  std::int32_t* sums = nullptr;
  float* x_scale = nullptr;
  std::int32_t* x_zero = nullptr;
  float* floats = nullptr;
  float* ones = nullptr;  // scales of weights that are kept
  std::byte* workers = nullptr;
  float* y = nullptr;

  std::size_t begin_of(std::size_t tile) const { return tile * (rows / tiles) + std::min(tile, rows % tiles); }
  std::size_t rows_of(std::size_t tile) const { return begin_of(tile + 1) - begin_of(tile); }
};

struct MatmulRun::Worker {
  float* row = nullptr;
  std::int8_t* codes = nullptr;      // of a tile's rows
  float* rows = nullptr;             // a tile's rows
  std::uint8_t* expanded = nullptr;  // panels of bytes
  float* panels = nullptr;           // panels of floats
  float* decoded = nullptr;          // rows of weights
};

MatmulRun::MatmulRun(const kernels::MatmulTable& table, const PackedImage& weights, const QuantizedRows* kept,
                     const ActivationReader& activations, std::span<const float> bias, std::int64_t rows, int workers)
    : table_(table),
      weights_(weights),
      kept_(kept),
      activations_(activations),
      bias_(bias),
      workers_(static_cast<std::size_t>(workers)),
      integers_(weights.is_integer() && activations.quantizer() != nullptr && activations.quantizer()->is_integer()),
      coded_(weights.is_integer() && !integers_ && rows <= static_cast<std::int64_t>(table.tile_rows)),
      sizes_(kept != nullptr ? sizes_of_floats(weights.header) : weights.sizes),
      block_(static_cast<std::size_t>(kept != nullptr ? weights.header.k : weights.header.block)) {
  const std::size_t panel_bytes = panel_numel() * (integers_ || coded_ ? 1 : sizeof(float));
  const std::size_t x_bytes = static_cast<std::size_t>(std::min(rows, kBandRows)) * sizes_.octets * kOctet;
  const std::size_t group_bytes = x_bytes <= kSmallBytes ? kSmallBytes : kGroupBytes;
  const std::size_t fitting = std::max<std::size_t>(1, group_bytes / panel_bytes);
  // Not more than lets every worker have several.
  const std::size_t share = workers_ == 1 ? fitting : std::max<std::size_t>(1, sizes_.panels / (4 * workers_));
  group_panels_ = std::min(fitting, share);
  // Whole groups of the table's; bytes of long rows come from the third cache then.
  if (group_panels_ > table.group_panels) group_panels_ -= group_panels_ % table.group_panels;
  if (integers_ && sizes_.panels >= 4 * workers_ * table.group_panels) {
    group_panels_ = std::max(group_panels_, table.group_panels);
  }
}

MatmulRun::Band MatmulRun::carve_band(Carver& memory, std::int64_t rows) const {
  Band band;
  band.rows = static_cast<std::size_t>(rows);
  band.tiles = (band.rows + table_.tile_rows - 1) / table_.tile_rows;
  const std::size_t numel = sizes_.octets * kOctet * band.rows;
  if (integers_) {
    band.codes = memory.take<std::int8_t>(numel);
    band.sums = memory.take<std::int32_t>(sizes_.blocks * band.rows);
    band.x_scale = memory.take<float>(band.rows);
    band.x_zero = memory.take<std::int32_t>(band.rows);
  } else {
    band.floats = memory.take<float>(numel);
    if (kept_ != nullptr) band.ones = memory.take<float>(kColumns);
  }
  band.workers = memory.take<std::byte>(workers_ * worker_bytes());
  return band;
}

MatmulRun::Worker MatmulRun::carve_worker(Carver& memory) const {
  const auto k = static_cast<std::size_t>(activations_.k());
  Worker worker;
  worker.row = memory.take<float>(k);
  worker.codes = memory.take<std::int8_t>(table_.tile_rows * k);
  if (integers_) {
    if (weights_.header.kind == PackedKind::Int4) {
      worker.expanded = memory.take<std::uint8_t>(group_panels_ * panel_numel());
    }
  } else {
    worker.rows = memory.take<float>(table_.tile_rows * k);
    worker.panels = memory.take<float>(coded_ ? 0 : group_panels_ * panel_numel());
    if (kept_ != nullptr) worker.decoded = memory.take<float>(kColumns * k);
  }
  return worker;
}

std::size_t MatmulRun::worker_bytes() const {
  Carver size;
  carve_worker(size);
  return size.used();
}

std::size_t MatmulRun::workspace_bytes(std::int64_t rows) const {
  Carver size;
  carve_band(size, std::min(rows, kBandRows));
  return size.used();
}

void MatmulRun::run_band(std::int64_t first, std::int64_t rows, std::span<std::byte> workspace, float* y,
                         Executor& executor) {
  Carver memory(workspace.data());
  Band band = carve_band(memory, rows);
  band.first = first;
  band.y = y;
  if (kept_ != nullptr) std::fill_n(band.ones, kColumns, 1.0f);

  const auto on_workers = [&](std::size_t count, auto&& work) {
    std::atomic<std::size_t> next = 0;
    executor.parallel_for(static_cast<std::int64_t>(std::min(count, workers_)), [&](std::int64_t index) {
      Carver own(band.workers + static_cast<std::size_t>(index) * worker_bytes());
      const Worker worker = carve_worker(own);
      for (std::size_t i = next++; i < count; i = next++) work(i, worker);
    });
  };
  on_workers(band.tiles, [&](std::size_t tile, const Worker& worker) { pack_tile(band, tile, worker); });

  // Few groups of panels: tiles are shared out too.
  const std::size_t wanted = workers_ == 1 ? 1 : (4 * workers_ + groups() - 1) / groups();
  const std::size_t cuts = std::min(band.tiles, wanted);
  on_workers(groups() * cuts, [&](std::size_t i, const Worker& worker) {
    const std::size_t cut = i % cuts, begin = cut * band.tiles / cuts, end = (cut + 1) * band.tiles / cuts;
    multiply(band, {i / cuts, begin, end - begin, i / cuts + (cuts == 1 ? workers_ : 1)}, worker);
  });
}

void MatmulRun::pack_tile(const Band& band, std::size_t tile, const Worker& worker) const {
  const std::size_t begin = band.begin_of(tile), count = band.rows_of(tile);
  const auto k = static_cast<std::size_t>(activations_.k());
  const kernels::RowsToPack what = {count, k, k, block_};
  const ActivationQuantizer* quantizer = activations_.quantizer();
  for (std::size_t r = 0; r < count; ++r) {
    const std::int64_t index = band.first + static_cast<std::int64_t>(begin + r);
    if (integers_) {
      const ActivationQuantizer::Params params = activations_.codes(index, worker.row, worker.codes + r * k);
      band.x_scale[begin + r] = params.scale;
      band.x_zero[begin + r] = static_cast<std::int32_t>(params.zero_point);
      continue;
    }
    float* const out = worker.rows + r * k;
    if (quantizer == nullptr) {
      const float* x = activations_.row(index, out);
      if (x != out) std::copy_n(x, k, out);
    } else {
      const float* x = activations_.row(index, worker.row);
      quantizer->round_trip(x, k, activations_.params_of(index, x), reinterpret_cast<std::uint8_t*>(worker.codes), out);
    }
  }
  const std::size_t padded = sizes_.octets * kOctet;
  if (!integers_) return table_.pack_floats(what, worker.rows, band.floats + begin * padded);
  const bool expanded = weights_.header.kind == PackedKind::Int8 || band.tiles > 1;
  const std::int32_t bias = expanded ? table_.code_bias_8 : 0;
  const auto zero = static_cast<std::int32_t>(weights_.header.common_zero_point);
  table_.pack_codes(what, worker.codes, weights_.zero_point() != nullptr ? 1 : bias - zero, band.codes + begin * padded,
                    band.sums + begin * sizes_.blocks);
}

void MatmulRun::multiply(const Band& band, const Piece& piece, const Worker& worker) const {
  if (integers_) {
    multiply_integers(band, piece, worker);
  } else if (coded_) {
    multiply_coded(band, piece);
  } else {
    multiply_floats(band, piece, worker);
  }
}

kernels::ProductShape MatmulRun::shape_of(const Band& band, std::size_t tile, std::size_t panel,
                                          std::size_t panels) const {
  const auto n = static_cast<std::size_t>(weights_.header.n);
  const std::size_t column = panel * kColumns;
  kernels::ProductShape shape = {};
  shape.rows = band.rows_of(tile);
  shape.panels = panels;
  shape.octets = sizes_.octets;
  shape.block_octets = sizes_.block_octets;
  shape.columns = std::min(panels * kColumns, n - column);
  shape.params_stride = kept_ != nullptr ? 0 : sizes_.blocks * kColumns;
  shape.scale = kept_ != nullptr ? band.ones : weights_.scale() + panel * shape.params_stride;
  shape.bias = bias_.empty() ? nullptr : bias_.data() + column;
  shape.y = band.y + band.begin_of(tile) * n + column;
  shape.y_stride = n;
  shape.prefetch = shape.scale;
  return shape;
}

void MatmulRun::multiply_integers(const Band& band, const Piece& piece, const Worker& worker) const {
  const std::size_t first = piece.group * group_panels_, panels = std::min(group_panels_, sizes_.panels - first);
  const std::uint8_t* codes = weights_.codes() + first * sizes_.panel_bytes;
  std::size_t panel_bytes = sizes_.panel_bytes;
  // Nibbles that several tiles read become bytes once.
  const bool nibbles = weights_.header.kind == PackedKind::Int4, expand = nibbles && band.tiles > 1;
  for (std::size_t i = 0; expand && i < panels; ++i) {
    table_.expand_4(codes + i * panel_bytes, sizes_.octets, worker.expanded + i * panel_numel());
  }
  if (expand) {
    codes = worker.expanded;
    panel_bytes = panel_numel();
  }
  // The next group is fetched in equal shares.
  const std::size_t calls = piece.tiles * ((panels + table_.group_panels - 1) / table_.group_panels);
  const std::size_t steps = 2 * sizes_.octets;
  const bool fetches = piece.tiles > 1 && piece.next_group < groups();
  const std::uint8_t* soon =
      fetches ? weights_.codes() + piece.next_group * group_panels_ * sizes_.panel_bytes : weights_.codes();
  const std::size_t step = fetches ? std::min(kLine, group_panels_ * sizes_.panel_bytes / (calls * steps) + 1) : 0;

  for (std::size_t tile = piece.first_tile; tile < piece.first_tile + piece.tiles; ++tile) {
    const std::size_t begin = band.begin_of(tile);
    for (std::size_t i = 0; i < panels; i += table_.group_panels) {
      const std::size_t count = std::min(table_.group_panels, panels - i);
      kernels::IntegerProduct p = {};
      p.shape = shape_of(band, tile, first + i, count);
      p.shape.prefetch = soon;
      p.shape.prefetch_step = step;
      soon += step * steps;
      const std::size_t at = (first + i) * p.shape.params_stride;
      p.codes = codes + i * panel_bytes;
      p.panel_bytes = panel_bytes;
      p.zero_point = weights_.zero_point() != nullptr ? weights_.zero_point() + at : nullptr;
      p.column_sums = weights_.column_sums() + at;
      p.x = band.codes + begin * sizes_.octets * kOctet;
      p.sums = band.sums + begin * sizes_.blocks;
      p.x_scale = band.x_scale + begin;
      p.x_zero = activations_.quantizer()->is_asymmetric() ? band.x_zero + begin : nullptr;
      (nibbles && !expand ? table_.multiply_4 : table_.multiply_8)(p);
    }
  }
}

void MatmulRun::multiply_floats(const Band& band, const Piece& piece, const Worker& worker) const {
  const std::size_t first = piece.group * group_panels_, panels = std::min(group_panels_, sizes_.panels - first);
  for (std::size_t i = 0; i < panels; ++i) decode_panel(first + i, worker, worker.panels + i * panel_numel());
  for (std::size_t tile = piece.first_tile; tile < piece.first_tile + piece.tiles; ++tile) {
    kernels::FloatProduct p = {};
    p.shape = shape_of(band, tile, first, panels);
    p.weights = worker.panels;
    p.panel_numel = panel_numel();
    p.x = band.floats + band.begin_of(tile) * sizes_.octets * kOctet;
    table_.multiply_float(p);
  }
}

void MatmulRun::multiply_coded(const Band& band, const Piece& piece) const {
  const std::size_t first = piece.group * group_panels_, panels = std::min(group_panels_, sizes_.panels - first);
  kernels::CodedProduct p = {};
  p.shape = shape_of(band, 0, first, panels);
  p.codes = weights_.codes() + first * sizes_.panel_bytes;
  p.panel_bytes = sizes_.panel_bytes;
  p.zero_point = weights_.zero_point() != nullptr ? weights_.zero_point() + first * p.shape.params_stride : nullptr;
  p.zero_point_of_all = static_cast<float>(weights_.header.common_zero_point);
  p.x = band.floats;
  (weights_.header.kind == PackedKind::Int4 ? table_.multiply_float_4 : table_.multiply_float_8)(p);
}

void MatmulRun::decode_panel(std::size_t panel, const Worker& worker, float* out) const {
  if (kept_ != nullptr) {
    const auto n = static_cast<std::size_t>(weights_.header.n), k = static_cast<std::size_t>(weights_.header.k);
    const std::size_t rows = std::min(kColumns, n - panel * kColumns);
    kept_->decode(static_cast<std::int64_t>(panel * kColumns), static_cast<std::int64_t>(rows), worker.decoded);
    // The columns of a panel are rows of the weights.
    std::fill_n(out + (k - k % kOctet) * kColumns, panel_numel() - (k - k % kOctet) * kColumns, 0.0f);
    for (std::size_t r = 0; r < kColumns; ++r) {
      for (std::size_t i = 0; i < k; ++i) out[i * kColumns + r] = r < rows ? worker.decoded[r * k + i] : 0.0f;
    }
    return;
  }
  const std::uint8_t* codes = weights_.codes() + panel * sizes_.panel_bytes;
  const PackedHeader& header = weights_.header;
  if (!weights_.is_integer()) {
    const kernels::KernelTable& k = active_table();
    return (header.kind == PackedKind::E4m3 ? k.e4m3_to_f32 : k.e5m2_to_f32)(codes, panel_numel(), out);
  }
  const std::uint8_t* zero = weights_.zero_point();
  if (zero != nullptr) zero += panel * sizes_.blocks * kColumns;
  (header.kind == PackedKind::Int4 ? table_.floats_of_4 : table_.floats_of_8)(
      codes, sizes_.octets, sizes_.block_octets, zero, static_cast<float>(header.common_zero_point), out);
}

}  // namespace mq::detail
