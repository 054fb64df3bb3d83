// Gathers elements of a strided view (transposed, sliced, expanded, ...) out of a storage that is too large to hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "mq/error.hpp"
#include "mq/tensor.hpp"

namespace mq::formats {

// Element i of the row-major order, with indices i0, i1, ..., is element offset + i0 * strides[0] + i1 * strides[1] ...
// of the storage. Sizes, strides and offset are not negative and stay inside the storage.
struct StridedView {
  std::int64_t offset = 0;
  Shape shape;
  Shape strides;
};

// Whether the elements lie one after the other in row-major order, so that a range of them is one range of the storage.
bool is_contiguous(const StridedView& view) noexcept;

// What is wrong with a view of elements of item_bytes bytes, of which the storage has `end`: it reaches outside, or
// somebody's arithmetic on its sizes would overflow. Empty if nothing is; of the details code, message, expected and
// found are set.
std::optional<ErrorDetails> extent_error(const StridedView& view, std::uint64_t item_bytes, std::uint64_t end);

// Fills its argument from a byte of the storage on.
using ReadStorage = std::function<void(std::uint64_t first_byte, std::span<std::byte> out)>;

// Puts elements [first, first + count) of the row-major order into out; item_bytes is 1, 2, 4, 8 or 16.
// Holds at most kGatherBytes of the storage at a time and reads in pieces of up to that size; only where wanted bytes
// are far apart and not too few is each run of them read by itself.
inline constexpr std::size_t kGatherBytes = std::size_t{1} << 22;
void read_strided(const StridedView& view, std::size_t item_bytes, std::int64_t first, std::int64_t count,
                  std::span<std::byte> out, const ReadStorage& read);

}  // namespace mq::formats
