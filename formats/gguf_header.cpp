#include "formats/gguf_header.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/gguf_metadata.hpp"
#include "formats/gguf_type.hpp"
#include "formats/header_cursor.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

constexpr std::uint32_t kFirstVersion = 2, kLastVersion = kGgufVersion;
// Bytes of an entry with an empty name, or key, and as little else as there can be.
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 4 + 8, kMinValueBytes = 8 + 4 + 1;

class Parser {
 public:
  Parser(const io::File& file, const Limits& limits) : file_(file), limits_(limits), cursor_(file, limits) {}

  GgufHeader parse() {
    cursor_.skip(kGgufMagic.size());
    require_version();
    const std::uint64_t tensors = read_count("tensors", kMinTensorBytes);
    const std::uint64_t values = read_count("key-values", kMinValueBytes);
    GgufMetadata metadata = read_gguf_metadata(cursor_, values, limits_, file_.path());
    alignment_ = metadata.alignment;
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
    refuse_duplicates();
    place_data();
    header_.metadata = std::move(metadata.values);
    header_.extents = std::move(metadata.extents);
    header_.left_out.insert(header_.left_out.begin(), std::make_move_iterator(metadata.left_out.begin()),
                            std::make_move_iterator(metadata.left_out.end()));
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail(ErrorCode code, std::uint64_t offset, std::string message, std::string expected,
                         std::string found, std::string hint = {}) const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .file = file_.path().string(),
                 .tensor = tensor_,
                 .offset = offset,
                 .expected = std::move(expected),
                 .found = std::move(found),
                 .hint = std::move(hint)});
  }

  void require_version() {
    const std::uint64_t offset = cursor_.offset();
    const std::uint32_t version = cursor_.u32();
    if (version >= kFirstVersion && version <= kLastVersion) return;
    const bool swapped = version != 0 && (version & 0xffffu) == 0;
    fail(ErrorCode::Unsupported, offset, swapped ? "big-endian GGUF is not read" : "this version of GGUF is not read",
         "version 2 or 3", swapped ? "a version with its bytes swapped" : std::to_string(version),
         version == 1 ? "convert the model again with a current tool" : "");
  }

  // The number of entries that follow, each of at least `min_bytes`. Numbers below zero are huge here.
  std::uint64_t read_count(const char* what, std::uint64_t min_bytes) {
    const std::uint64_t offset = cursor_.offset(), count = cursor_.u64();
    if (count > cursor_.remaining() / min_bytes) {
      fail(ErrorCode::Corrupt, offset, std::string("number of ") + what,
           "at most the " + std::to_string(cursor_.remaining() / min_bytes) + " that the file has room for",
           std::to_string(static_cast<std::int64_t>(count)));
    }
    if (count <= limits_.entries) return count;
    refuse_limit(limits_, &Limits::entries,
                 {.message = std::string("too many ") + what,
                  .file = file_.path().string(),
                  .offset = offset,
                  .found = std::to_string(count)});
  }

  void read_tensor() {
    const std::uint64_t begin = cursor_.offset();
    TensorInfo tensor{.name = read_gguf_name(cursor_, limits_, file_.path())};
    tensor_ = tensor.name;
    if (tensor.name.size() > kMaxGgufNameBytes) {
      fail(ErrorCode::Corrupt, begin, "name of a tensor too long",
           "at most " + std::to_string(kMaxGgufNameBytes) + " bytes", std::to_string(tensor.name.size()));
    }
    tensor.shape = read_shape();
    const std::int32_t type = read_type(tensor);
    place(tensor, type);
    header_.tensors.push_back(std::move(tensor));
    tensor_.clear();
  }

  Shape read_shape() {
    const std::uint64_t offset = cursor_.offset();
    const std::uint32_t rank = cursor_.u32();
    if (rank > kMaxGgufRank) {
      fail(ErrorCode::Corrupt, offset, "dimensions of a tensor", "at most " + std::to_string(kMaxGgufRank),
           std::to_string(rank));
    }
    if (rank > limits_.rank) {
      refuse_limit(limits_, &Limits::rank,
                   {.message = "too many dimensions",
                    .file = file_.path().string(),
                    .tensor = tensor_,
                    .offset = offset,
                    .found = std::to_string(rank)});
    }
    Shape shape(rank);
    for (std::uint32_t d = rank; d > 0; --d) {
      const auto size = cursor_.number<std::int64_t>();
      if (size < 0) fail(ErrorCode::Corrupt, offset, "negative dimension", "0 or more", std::to_string(size));
      shape[d - 1] = size;
    }
    return shape;
  }

  std::int32_t read_type(TensorInfo& tensor) {
    const std::uint64_t offset = cursor_.offset();
    const auto type = cursor_.number<std::int32_t>();
    const std::optional<DType> dtype = ggml_dtype(type);
    if (!dtype) {
      UnknownGgmlType unknown = describe_unknown_ggml_type(type);
      fail(ErrorCode::Unsupported, offset, "tensor type that is not read", "a type of known size",
           "type " + unknown.what, std::move(unknown.hint));
    }
    tensor.dtype = *dtype;
    const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (const std::int32_t block = info(*dtype).block_numel; row % block != 0) {
      fail(ErrorCode::Corrupt, offset, "rows that are not whole blocks of " + std::string(to_string(*dtype)),
           "a multiple of " + std::to_string(block) + " elements", std::to_string(row));
    }
    return type;
  }

  // Checks the offset against what the tensors before take.
  void place(const TensorInfo& tensor, std::int32_t type) {
    const std::uint64_t at = cursor_.offset(), offset = cursor_.u64();
    if (offset != next_) {
      if (last_type_ == kGgmlQ2_0 && offset > last_begin_) {
        refuse_other_q2_0(header_.tensors.back().name, std::to_string(offset - last_begin_));
      }
      fail(ErrorCode::Corrupt, at, "offset of a tensor that does not follow the one before", std::to_string(next_),
           std::to_string(offset));
    }
    const std::uint64_t size = size_of(tensor, at);
    last_begin_ = offset;
    last_type_ = type;
    const auto end = io::checked_add(offset, size);
    const auto next = end ? io::checked_align(*end, alignment_) : std::nullopt;
    if (!next) fail(ErrorCode::Limit, at, "more bytes than 2^64", "", "");
    if (size > 0) data_bytes_ = *end;
    next_ = *next;
    header_.offsets.push_back(offset);
  }

  std::uint64_t size_of(const TensorInfo& tensor, std::uint64_t offset) const {
    try {
      return static_cast<std::uint64_t>(tensor.size_bytes());
    } catch (const Error& error) {
      ErrorDetails details = error.details();
      details.file = file_.path().string();
      details.tensor = tensor.name;
      details.offset = offset;
      throw Error(std::move(details));
    }
  }

  // Forks have given the number of Q2_0 to blocks of another size.
  [[noreturn]] void refuse_other_q2_0(const std::string& name, std::string found) {
    tensor_ = name;
    fail(ErrorCode::Corrupt, cursor_.offset(), "type 42 with an unexpected size", "blocks of 64 weights in 18 bytes",
         found + " bytes", "a fork of ggml uses this number for another type");
  }

  void refuse_duplicates() {
    std::vector<std::string_view> names;
    for (const TensorInfo& tensor : header_.tensors) names.emplace_back(tensor.name);
    if (const auto twice = find_duplicate(std::move(names))) {
      tensor_ = std::string(*twice);
      fail(ErrorCode::Corrupt, cursor_.offset(), "tensor name twice", "unique names", "");
    }
  }

  // Turns offsets into positions in the file, and checks its end. The padding of the last tensor may be missing.
  void place_data() {
    std::uint64_t begin = cursor_.offset();
    if (!header_.tensors.empty()) {
      const auto aligned = io::checked_align(begin, alignment_);
      if (!aligned) fail(ErrorCode::Limit, begin, "more bytes than 2^64", "", "");
      begin = *aligned;
    }
    if (data_bytes_ > 0 && !io::range_fits(begin, data_bytes_, file_.size())) {
      const std::uint64_t there = file_.size() - std::min(begin, file_.size());
      if (last_type_ == kGgmlQ2_0 && there > last_begin_) {
        refuse_other_q2_0(header_.tensors.back().name, std::to_string(there - last_begin_));
      }
      fail(ErrorCode::Corrupt, begin, "the file ends inside its data", std::to_string(data_bytes_) + " bytes",
           std::to_string(there));
    }
    const std::uint64_t padded = io::checked_add(begin, next_).value_or(file_.size());
    if (file_.size() > padded) {
      header_.left_out.push_back(
          {.what = "bytes after the last tensor", .size_bytes = static_cast<std::int64_t>(file_.size() - padded)});
    }
    for (std::uint64_t& offset : header_.offsets) offset += begin;
  }

  const io::File& file_;
  const Limits& limits_;
  HeaderCursor cursor_;
  GgufHeader header_;
  std::string tensor_;  // being read, for errors
  std::uint64_t alignment_ = 1;
  std::uint64_t next_ = 0;        // where the next tensor's data must begin
  std::uint64_t data_bytes_ = 0;  // up to the end of the last tensor that has any
  std::uint64_t last_begin_ = 0;  // of the tensor before
  std::int32_t last_type_ = kGgmlF32;
};

}  // namespace

bool looks_like_gguf(const io::File& file) {
  std::array<char, kGgufMagic.size()> bytes{};
  if (file.size() < bytes.size()) return false;
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes == kGgufMagic;
}

GgufHeader read_gguf_header(const io::File& file, const Limits& limits) {
  GgufHeader header = Parser(file, limits).parse();
  file.check_unchanged();
  return header;
}

}  // namespace mq::formats
