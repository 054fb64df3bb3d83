#include "mq/observer.hpp"

#include <algorithm>
#include <string>

#include "src/block_ranges.hpp"
#include "src/float_rows.hpp"

namespace mq {

void MinMaxObserver::observe(TensorView batch) {
  FloatRows rows(batch);
  const BlockLayout layout = make_block_layout(batch.shape, rows.matrix(), granularity_);
  if (!ranges_.empty() && ranges_.size() != static_cast<std::size_t>(layout.blocks())) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "a batch of another shape: the number of blocks changed",
                 .expected = std::to_string(ranges_.size()),
                 .found = std::to_string(layout.blocks()) + " for shape " + to_string(batch.shape)});
  }
  if (rows.matrix().numel() == 0) return;
  BlockRanges seen(layout);
  std::int64_t nonfinite = 0;
  rows.for_each_band([&](const Tile& tile, const float* x) { nonfinite += seen.add(tile, x); });
  if (nonfinite != 0) {
    throw Error(ErrorCode::Numeric, std::to_string(nonfinite) + " observed values are NaN or infinite");
  }
  std::vector<Range> merged = seen.take();
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    merged[i].lo = std::min(merged[i].lo, ranges_[i].lo);
    merged[i].hi = std::max(merged[i].hi, ranges_[i].hi);
  }
  ranges_ = std::move(merged);
}

}  // namespace mq
