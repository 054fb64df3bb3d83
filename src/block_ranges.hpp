// The smallest and largest value of every block, collected tile by tile.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "mq/observer.hpp"
#include "src/block_layout.hpp"

namespace mq {

// The result does not depend on how the matrix is cut into tiles, nor on their order. add() may be called from many
// threads.
class BlockRanges {
 public:
  explicit BlockRanges(const BlockLayout& layout);

  // Takes the data of a tile into account. Returns how many elements are NaN or infinite; those are left out.
  std::int64_t add(const Tile& tile, const float* x);

  // One range per block; 0, 0 for blocks without data. Leaves this object empty.
  std::vector<Range> take();

 private:
  std::int64_t add_block_row(const Tile& tile, const float* x);
  std::int64_t add_strip(const Tile& tile, const Strip& strip, const float* x);
  void merge(std::int64_t block, float lo, float hi);

  BlockLayout layout_;
  std::mutex mutex_;
  std::vector<Range> ranges_;
};

}  // namespace mq
