// Strided views of data that can only be read forwards. Reading such a view in small ranges would inflate all of its
// record for each of them; so it is gathered in large blocks, one pass for each, of which the latest are kept.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "formats/blob_checkpoint.hpp"

namespace mq::formats {

// The blocks kept for all tensors of a checkpoint. Thread-safe.
class GatheredBlocks {
 public:
  static constexpr std::size_t kBlockBytes = std::size_t{32} << 20;
  static constexpr std::size_t kBlocks = 2;  // one tensor ends while the next begins

  using Bytes = std::shared_ptr<const std::vector<std::byte>>;
  // Block `index` of the place, which holds dtype and has numel elements.
  // Throws: as read_place().
  Bytes block(const Place& place, DType dtype, std::int64_t numel, std::int64_t index);

 private:
  struct Slot {
    const Place* place = nullptr;
    std::int64_t index = 0;
    Bytes bytes;
  };

  std::mutex mutex_;
  std::array<Slot, kBlocks> slots_;  // the latest first
};

// The same elements as the place's, read in blocks.
Place gathered(Place place, const TensorInfo& tensor, std::shared_ptr<GatheredBlocks> blocks);

}  // namespace mq::formats
