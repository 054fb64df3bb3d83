#include "formats/npy_array.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "formats/npy_literal.hpp"
#include "formats/torch_numpy.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kVersionBytes = 2;

// The elements: a blob without what stands before them.
class ElementsBlob final : public Blob {
 public:
  ElementsBlob(const Blob& whole, std::uint64_t offset) : whole_(whole), offset_(offset) {}

  std::uint64_t size_bytes() const noexcept override { return whole_.size_bytes() - offset_; }
  void read(std::uint64_t first, std::span<std::byte> out) const override { whole_.read(offset_ + first, out); }
  void read_scattered(std::uint64_t first, std::span<std::byte> out) const override {
    whole_.read_scattered(offset_ + first, out);
  }
  bool is_sequential() const noexcept override { return whole_.is_sequential(); }
  void verify() const override { whole_.verify(); }

 private:
  const Blob& whole_;
  std::uint64_t offset_;
};

struct Refused {
  std::string_view start;  // of the code
  std::string_view what;
  std::string_view hint;
};
constexpr std::array kRefused{
    Refused{"V1", "raw bytes (how some libraries write 8-bit floats)", "save the array as uint8, or as safetensors"},
    Refused{"V2", "raw bytes (how some libraries write bfloat16)", "save the array as float32, or as safetensors"},
    Refused{"V", "raw bytes", ""},
    Refused{"O", "Python objects, which are a pickle", "save arrays of numbers"},
    Refused{"S", "byte strings", ""},
    Refused{"a", "byte strings", ""},
    Refused{"U", "strings", ""},
    Refused{"M", "dates", ""},
    Refused{"m", "time spans", ""},
    Refused{"f", "floats of an unusual size (long double)", "save the array as float64"},
    Refused{"c", "complex numbers of an unusual size", "save the array as complex128"},
};

struct ElementType {
  DType dtype;
  bool big_endian;
};

ElementType element_type(const std::string& descr, const std::string& source) {
  std::string_view code = descr;
  const char order = code.empty() ? '\0' : code.front();
  const bool has_order = order == '<' || order == '>' || order == '|' || order == '=';
  if (has_order) code.remove_prefix(1);
  const auto refuse = [&](std::string_view message, std::string_view hint) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = std::string(message),
                 .file = source,
                 .expected = "a dtype of numbers, as in <f4",
                 .found = descr,
                 .hint = std::string(hint)});
  };
  const bool two_orders = code.find_first_of("<>|=") == 0;
  if (const std::optional<DType> dtype = torch::numpy_dtype(code); dtype && !two_orders) {
    if (order == '|' && info(*dtype).block_bytes > 1) refuse("a dtype without its byte order is not read", "");
    return {*dtype, order == '>'};
  }
  for (const Refused& other : kRefused) {
    if (code.starts_with(other.start)) refuse("an array of " + std::string(other.what) + " is not read", other.hint);
  }
  refuse("an array of an unknown dtype is not read", "");
  return {};
}

struct Header {
  NpyLiteral literal;
  std::uint64_t end = 0;  // where the elements begin
};

Header read_header(const Blob& blob, const std::string& source, const Limits& limits) {
  // The length of the header has as many bytes as its version says.
  const auto read = [&](std::uint64_t first, std::uint64_t size_bytes) {
    if (!io::range_fits(first, size_bytes, blob.size_bytes())) {
      throw Error({.code = ErrorCode::Corrupt,
                   .message = "the array is cut off",
                   .file = source,
                   .offset = first,
                   .expected = std::to_string(size_bytes) + " bytes",
                   .found = std::to_string(blob.size_bytes() - first)});
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
    blob.read(first, bytes);
    return bytes;
  };
  const std::vector<std::byte> start = read(0, kMagic.size() + kVersionBytes);
  const auto major = static_cast<int>(start[kMagic.size()]);
  const auto minor = static_cast<int>(start[kMagic.size() + 1]);
  if (!begins_npy(start) || major < 1 || major > 3 || minor != 0) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "version of the array",
                 .file = source,
                 .offset = kMagic.size(),
                 .expected = "1.0, 2.0 or 3.0",
                 .found = std::to_string(major) + "." + std::to_string(minor)});
  }
  const std::uint64_t length_offset = start.size();
  const std::vector<std::byte> length = read(length_offset, major == 1 ? 2 : 4);
  io::ByteReader reader(length, source, length_offset);
  const std::uint64_t header_bytes = major == 1 ? reader.u16() : reader.u32();
  const std::uint64_t header_offset = length_offset + length.size();
  if (header_bytes > limits.header_bytes) {
    refuse_limit(limits, &Limits::header_bytes,
                 {.message = "bytes of the header of an array",
                  .file = source,
                  .offset = length_offset,
                  .found = std::to_string(header_bytes)});
  }
  const std::vector<std::byte> text = read(header_offset, header_bytes);
  const std::string_view view(reinterpret_cast<const char*>(text.data()), text.size());
  return {parse_npy_literal(view, source, header_offset, limits), header_offset + header_bytes};
}

// Bytes of the elements, whatever the order of the dimensions: also the product without a dimension of 0 must fit.
std::uint64_t bytes_of_elements(const Shape& shape, DType dtype, const std::string& source) {
  std::optional<std::uint64_t> bytes = static_cast<std::uint64_t>(info(dtype).block_bytes);
  bool empty = false;
  for (const std::int64_t size : shape) {
    empty = empty || size == 0;
    if (size != 0 && bytes) bytes = io::checked_multiply(*bytes, static_cast<std::uint64_t>(size));
  }
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  if (!bytes || *bytes > kMost) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "the shape describes too many bytes",
                 .file = source,
                 .expected = "at most 2^62",
                 .found = to_string(shape)});
  }
  return empty ? 0 : *bytes;
}

// The array seen in row-major order.
StridedView view_of(const NpyLiteral& literal) {
  StridedView view{.offset = 0, .shape = literal.shape, .strides = {}};
  view.strides.resize(literal.shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < literal.shape.size(); ++i) {
    const std::size_t dim = literal.fortran_order ? i : literal.shape.size() - 1 - i;
    view.strides[dim] = stride;
    stride *= std::max<std::int64_t>(literal.shape[dim], 1);
  }
  return view;
}

}  // namespace

bool begins_npy(std::span<const std::byte> first_bytes) noexcept {
  return first_bytes.size() >= kMagic.size() && std::memcmp(first_bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

void add_npy_array(BlobContents& contents, std::string name, const Blob& blob, const std::string& source,
                   const Limits& limits) {
  Header header = read_header(blob, source, limits);
  const ElementType type = element_type(header.literal.descr, source);
  const std::uint64_t expected = bytes_of_elements(header.literal.shape, type.dtype, source);
  const std::uint64_t found = blob.size_bytes() - header.end;
  if (expected != found) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = found < expected ? "the elements are cut off" : "bytes after the elements",
                 .file = source,
                 .offset = header.end,
                 .expected = std::to_string(expected) + " bytes for " + std::string(to_string(type.dtype)) + " " +
                             to_string(header.literal.shape),
                 .found = std::to_string(found)});
  }
  contents.blobs.push_back(std::make_unique<ElementsBlob>(blob, header.end));
  Place place = place_of(*contents.blobs.back(), view_of(header.literal));
  place.big_endian = type.big_endian;
  contents.places.push_back(std::move(place));
  contents.tensors.push_back({.name = std::move(name), .dtype = type.dtype, .shape = std::move(header.literal.shape)});
}

}  // namespace mq::formats
