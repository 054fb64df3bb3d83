#include "formats/gguf_layout.hpp"

#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "formats/duplicates.hpp"
#include "formats/gguf_header.hpp"
#include "formats/gguf_type.hpp"
#include "formats/gguf_value.hpp"
#include "formats/io/checked.hpp"
#include "mq/error.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

class Maker {
 public:
  Maker(const Layout& layout, const std::filesystem::path& path) : layout_(layout), path_(path) {}

  FileLayout make() {
    require_unique();
    alignment_ = alignment();
    std::string& out = result_.header;
    out.assign(kGgufMagic.data(), kGgufMagic.size());
    append(kGgufVersion);
    append(static_cast<std::uint64_t>(layout_.tensors.size()));
    append(static_cast<std::uint64_t>(layout_.values.size()));
    for (const StoredValue& value : layout_.values) {
      append_text(value.key);
      append(value.type);
      out += value.bytes;
    }
    for (const TensorInfo& tensor : layout_.tensors) append_tensor(tensor);
    if (!layout_.tensors.empty()) out.resize(static_cast<std::size_t>(aligned(out.size())), '\0');
    for (std::uint64_t& offset : result_.offsets) offset += out.size();
    result_.size_bytes = out.size() + end_;
    return std::move(result_);
  }

 private:
  [[noreturn]] void refuse(std::string message, std::string expected, std::string found,
                           std::string_view tensor = {}) const {
    throw Error({.code = ErrorCode::Usage,
                 .message = "GGUF cannot hold this: " + std::move(message),
                 .file = path_.string(),
                 .tensor = std::string(tensor),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  template <class T>
  void append(T number) {
    const std::size_t at = result_.header.size();
    result_.header.resize(at + sizeof number);
    std::memcpy(result_.header.data() + at, &number, sizeof number);
  }
  void append_text(std::string_view text) {
    append(static_cast<std::uint64_t>(text.size()));
    result_.header += text;
  }

  void require_unique() const {
    std::vector<std::string_view> names;
    names.reserve(layout_.tensors.size());
    for (const TensorInfo& tensor : layout_.tensors) names.emplace_back(tensor.name);
    if (const auto twice = find_duplicate(std::move(names))) refuse("tensor name twice", "", "", *twice);
    std::vector<std::string_view> keys;
    for (const StoredValue& value : layout_.values) keys.emplace_back(value.key);
    if (const auto twice = find_duplicate(std::move(keys))) refuse("key twice", "", std::string(*twice));
  }

  std::uint64_t alignment() const {
    const StoredValue* const value = find_value(layout_.values, kGgufAlignmentKey);
    if (value == nullptr) return kGgufAlignment;
    const std::optional<std::uint32_t> number = as_u32(*value);
    if (number && std::has_single_bit(*number) && *number <= kMaxGgufAlignment) return *number;
    refuse(std::string(kGgufAlignmentKey), "a power of two as u32", number ? std::to_string(*number) : "another type");
  }

  std::uint64_t aligned(std::uint64_t bytes) const {
    const auto sum = io::checked_align(bytes, alignment_);
    if (!sum) throw Error({.code = ErrorCode::Limit, .message = "more than 2^64 bytes", .file = path_.string()});
    return *sum;
  }

  void append_tensor(const TensorInfo& tensor) {
    const std::optional<std::int32_t> type = ggml_type(tensor.dtype);
    if (!type) refuse("a type that ggml does not have", "", std::string(to_string(tensor.dtype)), tensor.name);
    if (tensor.name.size() > kMaxGgufNameBytes) {
      refuse("name of a tensor too long", "at most " + std::to_string(kMaxGgufNameBytes) + " bytes",
             std::to_string(tensor.name.size()), tensor.name);
    }
    if (utf8_valid_bytes(tensor.name) != tensor.name.size() ||
        tensor.name.find(std::string_view("\0", 1)) != std::string_view::npos) {
      refuse("name of a tensor", "UTF-8 without zeros", "", tensor.name);
    }
    if (tensor.shape.size() > kMaxGgufRank) {
      refuse("dimensions of a tensor", "at most " + std::to_string(kMaxGgufRank), std::to_string(tensor.shape.size()),
             tensor.name);
    }
    const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (const std::int32_t block = info(tensor.dtype).block_numel; row % block != 0) {
      refuse("rows that are not whole blocks of " + std::string(to_string(tensor.dtype)),
             "a multiple of " + std::to_string(block) + " elements", std::to_string(row), tensor.name);
    }
    append_text(tensor.name);
    append(static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t d = tensor.shape.size(); d > 0; --d) append(tensor.shape[d - 1]);
    append(*type);
    append(end_);
    result_.offsets.push_back(end_);
    const auto end = io::checked_add(end_, static_cast<std::uint64_t>(tensor.size_bytes()));
    end_ = aligned(end.value_or(UINT64_MAX));
  }

  const Layout& layout_;
  const std::filesystem::path& path_;
  std::uint64_t alignment_ = kGgufAlignment;
  std::uint64_t end_ = 0;  // of the data so far
  FileLayout result_;
};

}  // namespace

FileLayout lay_out_gguf(const Layout& layout, const std::filesystem::path& path) {
  return Maker(layout, path).make();
}

}  // namespace mq::formats
