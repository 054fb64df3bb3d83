#include "mq/tensor.hpp"

#include <limits>
#include <new>

namespace mq {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

std::int64_t numel(std::span<const std::int64_t> shape) {
  std::int64_t product = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) {
      throw Error({.code = ErrorCode::Corrupt, .message = "negative dimension", .found = to_string(shape)});
    }
    if (dimension == 0) {
      empty = true;
    } else if (product > std::numeric_limits<std::int64_t>::max() / dimension) {
      throw Error({.code = ErrorCode::Limit, .message = "more elements than 2^63 - 1", .found = to_string(shape)});
    } else {
      product *= dimension;
    }
  }
  return empty ? 0 : product;
}

std::string to_string(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

Buffer::Buffer(std::size_t size_bytes)
    : data_(static_cast<std::byte*>(::operator new[](size_bytes, kAlignment))), size_(size_bytes) {}

void Buffer::Free::operator()(std::byte* p) const noexcept {
  ::operator delete[](p, kAlignment);
}

void TensorView::require_element_bytes(std::size_t element_bytes) const {
  const DTypeInfo& row = info(dtype);
  if (row.block_numel == 1 && static_cast<std::size_t>(row.block_bytes) == element_bytes) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "elements read as a type of another size",
               .expected = std::string(row.name),
               .found = "a type of " + std::to_string(element_bytes) + " bytes"});
}

Tensor::Tensor(DType dtype, Shape shape, Buffer bytes)
    : dtype_(dtype), shape_(std::move(shape)), bytes_(std::make_shared<const Buffer>(std::move(bytes))) {
  const std::int64_t expected = bytes_of(dtype_, numel(shape_));
  if (static_cast<std::uint64_t>(expected) == bytes_->size()) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "buffer does not fit " + std::string(info(dtype_).name) + to_string(shape_),
               .expected = std::to_string(expected) + " bytes",
               .found = std::to_string(bytes_->size()) + " bytes"});
}

std::span<const std::byte> Tensor::bytes() const noexcept {
  return bytes_ ? bytes_->span() : std::span<const std::byte>();
}

}  // namespace mq
