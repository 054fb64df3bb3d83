#include "formats/blob_checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include "formats/gathered.hpp"
#include "formats/tiles.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

// A strided view is read out of order, so its blob is verified by a pass of its own; not if the view is a small part
// of it.
constexpr std::uint64_t kVerifiedFraction = 8;

bool is_complex(DType dtype) {
  return dtype == DType::Complex32 || dtype == DType::Complex64 || dtype == DType::Complex128;
}

// Bytes of a number: complex elements are two.
std::size_t number_bytes(DType dtype) {
  const auto item_bytes = static_cast<std::size_t>(info(dtype).block_bytes);
  return is_complex(dtype) ? item_bytes / 2 : item_bytes;
}

void swap_byte_order(std::span<std::byte> bytes, std::size_t width) {
  if (width == 1) return;
  for (std::size_t i = 0; i + width <= bytes.size(); i += width) std::ranges::reverse(bytes.subspan(i, width));
}

// Flips the sign bit of every number from the first-th on, in steps of `step` numbers.
void flip_signs(std::span<std::byte> bytes, std::size_t width, std::size_t first, std::size_t step) {
  for (std::size_t i = (first + 1) * width - 1; i < bytes.size(); i += step * width) bytes[i] ^= std::byte{0x80};
}

template <class T>
void negate_integers(std::span<std::byte> bytes) {
  for (std::size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + i, sizeof(T));
    value = static_cast<T>(T{0} - value);
    std::memcpy(bytes.data() + i, &value, sizeof(T));
  }
}

// As torch does it: integers wrap around.
void negate(std::span<std::byte> bytes, DType dtype) {
  const std::size_t width = number_bytes(dtype);
  if (info(dtype).is_float || is_complex(dtype)) return flip_signs(bytes, width, 0, 1);
  switch (width) {
    case 1:
      return negate_integers<std::uint8_t>(bytes);
    case 2:
      return negate_integers<std::uint16_t>(bytes);
    case 4:
      return negate_integers<std::uint32_t>(bytes);
    default:
      return negate_integers<std::uint64_t>(bytes);
  }
}

class BlobCheckpoint final : public Checkpoint {
 public:
  BlobCheckpoint(std::string_view format, const fs::path& path, BlobContents contents)
      : format_(format), path_(path), contents_(std::move(contents)) {
    const auto blocks = std::make_shared<GatheredBlocks>();
    for (std::size_t i = 0; i < contents_.places.size(); ++i) {
      Place& place = contents_.places[i];
      if (place.computed || place.contiguous || !place.blob->is_sequential()) continue;
      place = gathered(std::move(place), contents_.tensors[i], blocks);
    }
  }

  std::string_view format() const noexcept override { return format_; }
  const fs::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return contents_.tensors; }
  const Metadata& metadata() const noexcept override { return contents_.metadata; }
  std::span<const LeftOut> left_out() const noexcept override { return contents_.left_out; }

  std::span<const ContentNode> contents() const noexcept override { return contents_.tree; }

  void check_unchanged() const override { contents_.file->check_unchanged(); }

  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    const TensorInfo& tensor = contents_.tensors[require_index(index, contents_.tensors.size())];
    require_range(tensor, first, count, out.size());
    read_place(contents_.places[index], tensor.dtype, first, count, out);
    contents_.file->check_unchanged();
  }

 private:
  std::string_view format_;
  fs::path path_;
  BlobContents contents_;
};

}  // namespace

Place place_of(const Blob& blob, StridedView view) {
  Place place{.blob = &blob, .contiguous = is_contiguous(view)};
  place.view.offset = view.offset;
  if (!place.contiguous) place.view = std::move(view);
  return place;
}

void read_place(const Place& place, DType dtype, std::int64_t first, std::int64_t count, std::span<std::byte> out) {
  if (place.computed) return place.computed->read(first, count, out);
  const auto item_bytes = static_cast<std::uint64_t>(info(dtype).block_bytes);
  if (place.contiguous) {
    place.blob->read(static_cast<std::uint64_t>(place.view.offset + first) * item_bytes, out);
  } else {
    const auto view_bytes = static_cast<std::uint64_t>(numel(place.view.shape)) * item_bytes;
    if (view_bytes >= place.blob->size_bytes() / kVerifiedFraction) place.blob->verify();
    read_strided(place.view, item_bytes, first, count, out,
                 [&](std::uint64_t at, std::span<std::byte> bytes) { place.blob->read_scattered(at, bytes); });
  }
  if (place.big_endian) swap_byte_order(out, number_bytes(dtype));
  if (place.conjugated) flip_signs(out, number_bytes(dtype), 1, 2);
  if (place.negated) negate(out, dtype);
}

void number_ties(BlobContents& contents) {
  using View = std::tuple<const Blob*, std::int64_t, DType, bool, bool, const Shape&, const Shape&>;
  std::map<View, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorInfo& tensor = contents.tensors[i];
    const Place& place = contents.places[i];
    if (tensor.numel() == 0 || place.computed) continue;
    const View view(place.blob, place.view.offset, tensor.dtype, place.conjugated, place.negated, tensor.shape,
                    place.view.strides);
    groups[view].push_back(i);
  }
  std::map<std::size_t, const std::vector<std::size_t>*> by_first;
  for (const auto& [view, members] : groups) {
    if (members.size() > 1) by_first.emplace(members.front(), &members);
  }
  std::uint64_t number = 0;
  for (const auto& [first, members] : by_first) {
    ++number;
    for (const std::size_t i : *members) contents.tensors[i].storage = number;
  }
}

std::unique_ptr<Checkpoint> make_blob_checkpoint(std::string_view format, const fs::path& path, BlobContents contents) {
  return std::make_unique<BlobCheckpoint>(format, path, std::move(contents));
}

}  // namespace mq::formats
