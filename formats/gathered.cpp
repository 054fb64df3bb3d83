#include "formats/gathered.hpp"

#include <algorithm>
#include <utility>

namespace mq::formats {
namespace {

std::int64_t block_numel(DType dtype) {
  return static_cast<std::int64_t>(GatheredBlocks::kBlockBytes) / info(dtype).block_bytes;
}

class GatheredElements final : public ElementSource {
 public:
  GatheredElements(Place place, const TensorInfo& tensor, std::shared_ptr<GatheredBlocks> blocks)
      : place_(std::move(place)), dtype_(tensor.dtype), numel_(tensor.numel()), blocks_(std::move(blocks)) {}

  void read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    const auto item_bytes = static_cast<std::size_t>(info(dtype_).block_bytes);
    const std::int64_t block = block_numel(dtype_);
    for (const std::int64_t end = first + count; first < end;) {
      const GatheredBlocks::Bytes bytes = blocks_->block(place_, dtype_, numel_, first / block);
      const std::int64_t stop = std::min(end, (first / block + 1) * block);
      const std::size_t size = static_cast<std::size_t>(stop - first) * item_bytes;
      std::ranges::copy(std::span(*bytes).subspan(static_cast<std::size_t>(first % block) * item_bytes, size),
                        out.begin());
      out = out.subspan(size);
      first = stop;
    }
  }

 private:
  Place place_;
  DType dtype_;
  std::int64_t numel_;
  std::shared_ptr<GatheredBlocks> blocks_;
};

}  // namespace

GatheredBlocks::Bytes GatheredBlocks::block(const Place& place, DType dtype, std::int64_t numel, std::int64_t index) {
  // Held while a block is read: who waits most often waits for this very block.
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find_if(slots_, [&](const Slot& slot) { return slot.place == &place && slot.index == index; });
  if (found != slots_.end()) {
    std::rotate(slots_.begin(), found, found + 1);
    return slots_.front().bytes;
  }
  slots_.back() = {};
  const std::int64_t first = index * block_numel(dtype);
  const std::int64_t count = std::min(block_numel(dtype), numel - first);
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(bytes_of(dtype, count)));
  read_place(place, dtype, first, count, *bytes);
  slots_.back() = {&place, index, std::move(bytes)};
  std::rotate(slots_.begin(), slots_.end() - 1, slots_.end());
  return slots_.front().bytes;
}

Place gathered(Place place, const TensorInfo& tensor, std::shared_ptr<GatheredBlocks> blocks) {
  Place made;
  made.computed = std::make_shared<GatheredElements>(std::move(place), tensor, std::move(blocks));
  return made;
}

}  // namespace mq::formats
