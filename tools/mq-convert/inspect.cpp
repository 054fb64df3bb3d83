#include "tools/mq-convert/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "mq/error.hpp"
#include "mq/quantize.hpp"
#include "src/float_rows.hpp"
#include "src/matrix_reader.hpp"
#include "src/nearest.hpp"
#include "src/tile_grid.hpp"

namespace mq::tool {
namespace {

constexpr std::int64_t kFirstValues = 8;
constexpr std::int32_t kMaxBars = 32;

const LogicalTensor& tensor_named(const Checkpoint& checkpoint, const Source& source, std::string_view name) {
  std::vector<std::string_view> names;
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.info.name == name) return tensor;
    names.push_back(tensor.info.name);
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "no such tensor",
               .file = checkpoint.path().string(),
               .tensor = std::string(name),
               .hint = did_you_mean(name, names)});
}

std::vector<CodeBar> histogram(const Tensor& codes, const QuantSpec& spec) {
  const std::int32_t range = spec.qmax() - spec.qmin() + 1;
  const std::int32_t step = (range + kMaxBars - 1) / kMaxBars;
  std::vector<CodeBar> bars;
  for (std::int32_t first = spec.qmin(); first <= spec.qmax(); first += step) {
    bars.push_back({first, std::min(first + step - 1, spec.qmax()), 0});
  }
  for (const std::byte byte : codes.bytes()) {
    const auto raw = static_cast<std::uint8_t>(byte);
    const std::int32_t code = codes.dtype() == DType::Int8 ? static_cast<std::int8_t>(raw) : raw;
    const std::int32_t clamped = std::clamp(code, spec.qmin(), spec.qmax());
    ++bars[static_cast<std::size_t>((clamped - spec.qmin()) / step)].count;
  }
  return bars;
}

CodeFigures code_figures(const Checkpoint& checkpoint, const LogicalTensor& logical) {
  if (groups_cross_rows(logical)) {
    const auto bits = 8 * static_cast<double>(logical.stored_bytes);
    return {.bits_per_weight = bits / static_cast<double>(logical.info.numel())};
  }
  CodeFigures figures{.bits_per_weight = bits_per_weight(*logical.spec, logical.info.shape)};
  // Blocks that hold their own scales have nothing to look at before they are decoded.
  if (is_quantized_block(logical.spec->element)) return figures;
  const QuantizedTensor tensor = load_quantized(checkpoint, logical);
  const QParams qparams = tensor.qparams();
  if (!qparams.scales.empty()) {
    const auto [lo, hi] = std::minmax_element(qparams.scales.begin(), qparams.scales.end());
    figures.scales = static_cast<std::int64_t>(qparams.scales.size());
    figures.scale_min = *lo;
    figures.scale_max = *hi;
  }
  if (!qparams.zero_points.empty()) {
    const auto [lo, hi] = std::minmax_element(qparams.zero_points.begin(), qparams.zero_points.end());
    figures.zero_points = static_cast<std::int64_t>(qparams.zero_points.size());
    figures.zero_point_min = *lo;
    figures.zero_point_max = *hi;
  }
  if (tensor.spec().is_integer()) figures.histogram = histogram(tensor.codes(), tensor.spec());
  return figures;
}

// Sums over the finite values of a part of a tensor.
struct Sums {
  float min = 0;
  float max = 0;
  double sum = 0;
  double square = 0;
  std::int64_t finite = 0;
  std::int64_t zeros = 0;
  std::int64_t nan = 0;
  std::int64_t infinite = 0;

  void add(float x) {
    if (!std::isfinite(x)) {
      ++(std::isnan(x) ? nan : infinite);
      return;
    }
    min = finite == 0 ? x : std::min(min, x);
    max = finite == 0 ? x : std::max(max, x);
    sum += x;
    square += static_cast<double>(x) * x;
    zeros += x == 0 ? 1 : 0;
    ++finite;
  }
  void add(const Sums& other) {
    if (other.finite > 0) {
      min = finite == 0 ? other.min : std::min(min, other.min);
      max = finite == 0 ? other.max : std::max(max, other.max);
    }
    sum += other.sum;
    square += other.square;
    finite += other.finite;
    zeros += other.zeros;
    nan += other.nan;
    infinite += other.infinite;
  }
};

ValueFigures value_figures(const Checkpoint& checkpoint, const LogicalTensor& tensor, Executor& executor) {
  const MatrixReader reader(checkpoint, tensor);
  const TileGrid grid = make_reading_grid(reader.shape(), tensor.transposed);
  const std::int64_t width = 8 * executor.concurrency();
  Sums all;
  for (std::int64_t first = 0; first < grid.count(); first += width) {
    const std::int64_t count = std::min(width, grid.count() - first);
    std::vector<Sums> tiles(static_cast<std::size_t>(count));
    executor.parallel_for(count, [&](std::int64_t i) {
      const Tile tile = grid.tile(first + i);
      std::vector<float> values(static_cast<std::size_t>(tile.rows * tile.cols));
      Scratch scratch;
      reader.read(tile, values.data(), scratch);
      for (const float x : values) tiles[static_cast<std::size_t>(i)].add(x);
    });
    for (const Sums& sums : tiles) all.add(sums);
  }
  ValueFigures figures{.min = all.min,
                       .max = all.max,
                       .abs_max = std::max(std::fabs(all.min), std::fabs(all.max)),
                       .zeros = all.zeros,
                       .nan = all.nan,
                       .infinite = all.infinite};
  if (all.finite > 0) {
    const auto n = static_cast<double>(all.finite);
    figures.mean = all.sum / n;
    figures.deviation = std::sqrt(std::max(0.0, all.square / n - figures.mean * figures.mean));
  }
  return figures;
}

template <class T>
std::vector<double> as_numbers(const std::vector<std::byte>& bytes) {
  std::vector<double> numbers;
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    numbers.push_back(static_cast<double>(value));
  }
  return numbers;
}

// The first elements of a stored tensor of integers; nothing for types without one number per element.
std::vector<double> first_integers(const Checkpoint& checkpoint, std::size_t index) {
  const TensorInfo& tensor = checkpoint.tensors()[index];
  const DTypeInfo& type = info(tensor.dtype);
  if (type.block_numel != 1) return {};
  const std::int64_t count = std::min(kFirstValues, tensor.numel());
  std::vector<std::byte> bytes(static_cast<std::size_t>(bytes_of(tensor.dtype, count)));
  checkpoint.read(index, 0, count, bytes);
  switch (tensor.dtype) {
    case DType::Bool:
    case DType::UInt8:
      return as_numbers<std::uint8_t>(bytes);
    case DType::Int8:
      return as_numbers<std::int8_t>(bytes);
    case DType::UInt16:
      return as_numbers<std::uint16_t>(bytes);
    case DType::Int16:
      return as_numbers<std::int16_t>(bytes);
    case DType::UInt32:
      return as_numbers<std::uint32_t>(bytes);
    case DType::Int32:
      return as_numbers<std::int32_t>(bytes);
    case DType::UInt64:
      return as_numbers<std::uint64_t>(bytes);
    case DType::Int64:
      return as_numbers<std::int64_t>(bytes);
    default:
      return {};
  }
}

std::vector<double> first_floats(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const MatrixReader reader(checkpoint, tensor);
  const MatrixShape shape = reader.shape();
  std::vector<double> values;
  Scratch scratch;
  // Row by row, because a tile is a rectangle and the first elements may lie in several rows.
  for (std::int64_t row = 0; row < shape.rows && static_cast<std::int64_t>(values.size()) < kFirstValues; ++row) {
    const std::int64_t count = std::min(kFirstValues - static_cast<std::int64_t>(values.size()), shape.cols);
    std::vector<float> part(static_cast<std::size_t>(count));
    reader.read({row, 1, 0, count}, part.data(), scratch);
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

}  // namespace

Inspection inspect(const Checkpoint& checkpoint, const Source& source, std::string_view name, Executor& executor) {
  Inspection result{.tensor = tensor_named(checkpoint, source, name)};
  const LogicalTensor& tensor = result.tensor;
  for (const StoredPart& part : tensor.parts) result.stored.push_back(checkpoint.tensors()[part.tensor]);
  if (tensor.info.numel() == 0) return result;
  if (tensor.spec) result.codes = code_figures(checkpoint, tensor);
  if (tensor.spec || is_readable_float(tensor.info.dtype)) {
    result.values = value_figures(checkpoint, tensor, executor);
    result.first_values = first_floats(checkpoint, tensor);
  } else {
    result.first_values = first_integers(checkpoint, tensor.parts.front().tensor);
  }
  return result;
}

}  // namespace mq::tool
