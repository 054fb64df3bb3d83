#include "mq/convert.hpp"
#include "src/active_table.hpp"
#include "src/float_rows.hpp"
#include "src/matrix_reader.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

Range range_of(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const MatrixReader reader(checkpoint, tensor);
  const TileGrid grid = make_reading_grid(reader.shape(), tensor.transposed);
  Scratch scratch;
  std::vector<float> values;
  Range range;
  bool first = true;
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const Tile tile = grid.tile(i);
    const auto numel = static_cast<std::size_t>(tile.rows * tile.cols);
    if (values.size() < numel) values.resize(numel);
    reader.read(tile, values.data(), scratch);
    kernels::Range found;
    active_table().range(values.data(), 1, numel, &found);
    if (found.nonfinite != 0) {
      throw Error({.code = ErrorCode::Numeric,
                   .message = "has no range",
                   .tensor = tensor.info.name,
                   .expected = "finite values",
                   .found = "NaN or infinity"});
    }
    range.lo = first ? found.lo : std::min(range.lo, found.lo);
    range.hi = first ? found.hi : std::max(range.hi, found.hi);
    first = false;
  }
  return range;
}

}  // namespace

Analysis analyse(const Checkpoint& checkpoint, const Source& source, Executor& executor) {
  std::vector<std::optional<Range>> ranges(source.tensors.size());
  executor.parallel_for(static_cast<std::int64_t>(ranges.size()), [&](std::int64_t i) {
    const LogicalTensor& tensor = source.tensors[static_cast<std::size_t>(i)];
    if (tensor.spec || is_readable_float(tensor.info.dtype)) {
      ranges[static_cast<std::size_t>(i)] = range_of(checkpoint, tensor);
    }
  });
  Analysis analysis;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i]) analysis.ranges.emplace(source.tensors[i].info.name, *ranges[i]);
  }
  return analysis;
}

}  // namespace mq
