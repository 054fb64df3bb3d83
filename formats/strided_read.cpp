#include "formats/strided_read.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "formats/io/checked.hpp"

namespace mq::formats {
namespace {

// Reading the bytes between two wanted runs costs less than another system call up to about this distance.
constexpr std::int64_t kFarBytes = 16 * 1024;
// Shorter runs are never worth a system call of their own.
constexpr std::int64_t kRunBytes = 64;

// Side of the squares in which a transposition is done: rows of both sides then stay in the nearest cache.
constexpr std::int64_t kTile = 16;

struct Dim {
  std::int64_t size;
  std::int64_t in;   // stride in the storage
  std::int64_t out;  // stride in the output
};

// A rectangular part of the view.
struct Box {
  std::int64_t in_first;
  std::int64_t out_first;
  std::vector<Dim> dims;
};

// The view with as few dimensions as describe it: those of size 1 dropped, those that continue each other joined.
std::vector<Dim> simplify(const StridedView& view) {
  std::vector<Dim> dims;
  std::int64_t numel = 1;
  for (std::size_t i = view.shape.size(); i-- > 0;) {
    const std::int64_t size = view.shape[i];
    if (size == 1) continue;
    // The product fits: a view has no more elements than 2^63 - 1, and the stride stays inside the storage.
    if (!dims.empty() && view.strides[i] == dims.back().in * dims.back().size) {
      dims.back().size *= size;
    } else {
      dims.push_back({size, view.strides[i], numel});
    }
    numel *= size;
  }
  std::ranges::reverse(dims);
  return dims;
}

// Elements of the storage from the first to the last of the box.
std::int64_t span_of(const Box& box) {
  std::int64_t span = 1;
  for (const Dim& dim : box.dims) span += (dim.size - 1) * dim.in;
  return span;
}

template <std::size_t W>
void copy_plane(const std::byte* in, std::byte* out, const Dim& slow, const Dim& fast) {
  for (std::int64_t i0 = 0; i0 < slow.size; i0 += kTile) {
    const std::int64_t i1 = std::min(slow.size, i0 + kTile);
    for (std::int64_t j0 = 0; j0 < fast.size; j0 += kTile) {
      const std::int64_t j1 = std::min(fast.size, j0 + kTile);
      for (std::int64_t i = i0; i < i1; ++i) {
        for (std::int64_t j = j0; j < j1; ++j) {
          std::memcpy(out + (i * slow.out + j * fast.out) * static_cast<std::int64_t>(W),
                      in + (i * slow.in + j * fast.in) * static_cast<std::int64_t>(W), W);
        }
      }
    }
  }
}

using CopyPlane = void (*)(const std::byte*, std::byte*, const Dim&, const Dim&);

CopyPlane copy_plane_of(std::size_t item_bytes) {
  switch (item_bytes) {
    case 1:
      return copy_plane<1>;
    case 2:
      return copy_plane<2>;
    case 4:
      return copy_plane<4>;
    case 8:
      return copy_plane<8>;
    default:
      return copy_plane<16>;
  }
}

// Copies the elements of the box from `in`, where its first one lies, to their places.
void gather(Box box, const std::byte* in, std::byte* out, std::size_t item_bytes) {
  const auto item = static_cast<std::int64_t>(item_bytes);
  // The innermost plane: the dimension that is dense in the output and the one that is dense in the storage.
  const auto take = [&](auto stride) {
    if (box.dims.empty()) return Dim{1, 0, 0};
    const auto least = std::ranges::min_element(box.dims, {}, stride);
    const Dim dim = *least;
    box.dims.erase(least);
    return dim;
  };
  const Dim fast = take(&Dim::out);
  const Dim slow = take(&Dim::in);
  const bool runs = fast.in == 1 && fast.out == 1;
  const CopyPlane copy = copy_plane_of(item_bytes);
  std::vector<std::int64_t> index(box.dims.size(), 0);
  for (;;) {
    if (runs) {
      for (std::int64_t i = 0; i < slow.size; ++i) {
        std::memcpy(out + i * slow.out * item, in + i * slow.in * item, static_cast<std::size_t>(fast.size * item));
      }
    } else {
      copy(in, out, slow, fast);
    }
    std::size_t d = 0;
    for (; d < index.size(); ++d) {
      const Dim& dim = box.dims[d];
      in += dim.in * item;
      out += dim.out * item;
      if (++index[d] < dim.size) break;
      in -= dim.in * dim.size * item;
      out -= dim.out * dim.size * item;
      index[d] = 0;
    }
    if (d == index.size()) return;
  }
}

class Gatherer {
 public:
  Gatherer(std::size_t item_bytes, std::span<std::byte> out, const ReadStorage& read)
      : item_bytes_(item_bytes), item_(static_cast<std::int64_t>(item_bytes)), out_(out), read_(read) {}

  // Reads the box in parts: as long as one is too large or too sparse, pieces are cut off along its longest stride.
  void read(Box box) {
    std::vector<Box> left;
    left.push_back(std::move(box));
    while (!left.empty()) {
      Box part = std::move(left.back());
      left.pop_back();
      const std::int64_t kept = indices_to_keep(part);
      if (kept == 0) {
        read_part(std::move(part));
        continue;
      }
      Box rest = part;
      Dim& rest_dim = longest(rest);
      Dim& part_dim = longest(part);
      rest_dim.size -= kept;
      rest.in_first += kept * rest_dim.in;
      rest.out_first += kept * rest_dim.out;
      part_dim.size = kept;
      if (rest_dim.size > 0) left.push_back(std::move(rest));
      left.push_back(std::move(part));
    }
  }

 private:
  // The dimension with the longest stride in the storage among those with more than one index.
  static Dim& longest(Box& box) {
    const auto stride = [](const Dim& dim) { return dim.size > 1 ? dim.in : -1; };
    return *std::ranges::max_element(box.dims, {}, stride);
  }

  // 0 if the box can be read as it is, else how many indices of its longest dimension to cut off first.
  std::int64_t indices_to_keep(Box& box) const {
    const std::int64_t span = span_of(box);
    if (span == 1) return 0;
    const Dim& dim = longest(box);
    const std::int64_t inner = span - (dim.size - 1) * dim.in;
    if (dim.in - inner > kFarBytes / item_ && inner >= kRunBytes / item_) return 1;
    const auto room = static_cast<std::int64_t>(kGatherBytes) / item_;
    if (span <= room) return 0;
    return inner >= room ? 1 : (room - inner) / dim.in + 1;
  }

  void read_part(Box box) {
    buffer_.resize(static_cast<std::size_t>(span_of(box) * item_));
    read_(static_cast<std::uint64_t>(box.in_first * item_), buffer_);
    std::byte* const out = out_.data() + box.out_first * item_;
    gather(std::move(box), buffer_.data(), out, item_bytes_);
  }

  std::size_t item_bytes_;
  std::int64_t item_;
  std::span<std::byte> out_;
  const ReadStorage& read_;
  std::vector<std::byte> buffer_;
};

}  // namespace

bool is_contiguous(const StridedView& view) noexcept {
  std::int64_t expected = 1;
  for (std::size_t i = view.shape.size(); i-- > 0;) {
    if (view.shape[i] == 0) return true;
    if (view.shape[i] == 1) continue;
    if (view.strides[i] != expected) return false;
    expected *= view.shape[i];
  }
  return true;
}

std::optional<ErrorDetails> extent_error(const StridedView& view, std::uint64_t item_bytes, std::uint64_t end) {
  const auto& [offset, shape, strides] = view;
  if (shape.size() != strides.size()) {
    return ErrorDetails{.code = ErrorCode::Corrupt,
                        .message = "size and stride of different length",
                        .expected = std::to_string(shape.size()),
                        .found = std::to_string(strides.size())};
  }
  std::optional<std::uint64_t> size_bytes = item_bytes;
  std::optional<std::uint64_t> last = static_cast<std::uint64_t>(offset);
  bool empty = false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) {
      empty = true;
      continue;
    }
    const auto size = static_cast<std::uint64_t>(shape[i]);
    const auto stride = static_cast<std::uint64_t>(strides[i]);
    size_bytes = size_bytes ? io::checked_multiply(*size_bytes, size) : std::nullopt;
    const std::optional<std::uint64_t> reach = io::checked_multiply(size - 1, stride);
    last = last && reach ? io::checked_add(*last, *reach) : std::nullopt;
  }
  if (!size_bytes || *size_bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return ErrorDetails{.code = ErrorCode::Limit, .message = "tensor of more than 2^63 - 1 bytes"};
  }
  if (empty || (last && *last < end)) return std::nullopt;
  return ErrorDetails{.code = ErrorCode::Corrupt,
                      .message = "view reaches outside its storage",
                      .expected = "less than " + std::to_string(end) + " elements",
                      .found = last ? "element " + std::to_string(*last) : "an element beyond 2^64"};
}

void read_strided(const StridedView& view, std::size_t item_bytes, std::int64_t first, std::int64_t count,
                  std::span<std::byte> out, const ReadStorage& read) {
  if (count == 0) return;  // of an empty tensor, whose strides may be any numbers
  const std::vector<Dim> dims = simplify(view);
  Gatherer gatherer(item_bytes, out, read);
  // A range of the row-major order is a few boxes: the longest stretches of whole indices that begin where it stands.
  const std::int64_t end = first + count;
  for (std::int64_t at = first; at < end;) {
    std::size_t level = 0;
    while (level < dims.size() && (at % dims[level].out != 0 || end - at < dims[level].out)) ++level;
    Box box{view.offset, at - first, {}};
    std::int64_t rest = at;
    for (const Dim& dim : dims) {
      box.in_first += rest / dim.out * dim.in;
      rest %= dim.out;
    }
    if (level == dims.size()) {  // a scalar
      gatherer.read(std::move(box));
      return;
    }
    const std::int64_t index = level == 0 ? at / dims[0].out : at % dims[level - 1].out / dims[level].out;
    const std::int64_t indices = std::min(dims[level].size - index, (end - at) / dims[level].out);
    box.dims.assign(dims.begin() + static_cast<std::ptrdiff_t>(level), dims.end());
    box.dims.front().size = indices;
    gatherer.read(std::move(box));
    at += indices * dims[level].out;
  }
}

}  // namespace mq::formats
