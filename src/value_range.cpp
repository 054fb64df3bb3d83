#include "src/value_range.hpp"

#include <algorithm>
#include <vector>

#include "src/active_table.hpp"
#include "src/matrix_reader.hpp"
#include "src/tile_grid.hpp"

namespace mq {

kernels::Range value_range(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const MatrixReader reader(checkpoint, tensor);
  const TileGrid grid = make_reading_grid(reader.shape(), tensor.transposed || stores_strips(tensor));
  Scratch scratch;
  std::vector<float> values;
  kernels::Range range{};
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const Tile tile = grid.tile(i);
    const auto numel = static_cast<std::size_t>(tile.rows * tile.cols);
    if (values.size() < numel) values.resize(numel);
    reader.read(tile, values.data(), scratch);
    kernels::Range found;
    active_table().range(values.data(), 1, numel, &found);
    range.lo = i == 0 ? found.lo : std::min(range.lo, found.lo);
    range.hi = i == 0 ? found.hi : std::max(range.hi, found.hi);
    range.nonfinite += found.nonfinite;
  }
  return range;
}

}  // namespace mq
