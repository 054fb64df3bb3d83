// A Checkpoint over tensors that are views of blobs: what every reader of PyTorch's and NumPy's files ends in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "formats/blob.hpp"
#include "formats/strided_read.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// Elements that are computed from others: densified, unpacked. Immutable; thread-safe.
class ElementSource {
 public:
  virtual ~ElementSource() = default;
  // Elements [first, first + count) of the row-major order, little-endian.
  // Throws: Io, Corrupt.
  virtual void read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const = 0;
};

// Where the elements of a tensor are.
struct Place {
  const Blob* blob = nullptr;  // borrowed
  StridedView view = {};       // in elements of the blob; shape and strides are empty if it is contiguous
  bool contiguous = false;
  bool big_endian = false;
  bool conjugated = false;                             // complex: the tensor is the conjugate of what the blob says
  bool negated = false;                                // the tensor is the negative of what the blob says
  std::shared_ptr<const ElementSource> computed = {};  // if set, nothing of the above matters
};

// The place of a view, made contiguous if it is.
Place place_of(const Blob& blob, StridedView view);

// Reads elements of a place that holds dtype.
void read_place(const Place& place, DType dtype, std::int64_t first, std::int64_t count, std::span<std::byte> out);

struct BlobContents {
  std::vector<TensorInfo> tensors = {};
  std::vector<Place> places = {};  // one for each tensor
  std::vector<LeftOut> left_out = {};
  Metadata metadata = {};
  bool listing = false;  // OpenOptions::contents: objects go into the tree instead of the tensors
  std::vector<ContentNode> tree = {};
  std::vector<std::unique_ptr<const Blob>> blobs = {};  // those that belong to single tensors
  std::shared_ptr<const void> owner = {};               // keeps the other blobs alive
  const io::File* file = nullptr;                       // inside owner: must not change while it is read
};

// Gives tensors that are the same view of the same blob the same TensorInfo::storage.
void number_ties(BlobContents& contents);

std::unique_ptr<Checkpoint> make_blob_checkpoint(std::string_view format, const std::filesystem::path& path,
                                                 BlobContents contents);

}  // namespace mq::formats
