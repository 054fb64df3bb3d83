#include "formats/gguf_metadata.hpp"

#include <array>
#include <bit>
#include <limits>
#include <string_view>

#include "formats/duplicates.hpp"
#include "formats/gguf_value.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

using Type = GgufType;
struct TypeRow {
  std::string_view plural;
  std::uint64_t bytes;  // 0 where it depends on the value
};
constexpr std::array<TypeRow, 13> kTypes{{{"u8 numbers", 1},
                                          {"i8 numbers", 1},
                                          {"u16 numbers", 2},
                                          {"i16 numbers", 2},
                                          {"u32 numbers", 4},
                                          {"i32 numbers", 4},
                                          {"f32 numbers", 4},
                                          {"bools", 1},
                                          {"strings", 0},
                                          {"arrays", 0},
                                          {"u64 numbers", 8},
                                          {"i64 numbers", 8},
                                          {"f64 numbers", 8}}};

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 30;  // characters of a string, elements of an array

class Reader {
 public:
  Reader(HeaderCursor& cursor, const Limits& limits, const std::filesystem::path& path)
      : cursor_(cursor), limits_(limits), path_(path) {}

  GgufMetadata read(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      begin_ = cursor_.offset();
      key_ = read_gguf_name(cursor_, limits_, path_);
      if (key_.empty()) corrupt("empty key", "a name", "");
      read_value();
      result_.extents.back().end = cursor_.offset();
      result_.extents.back().key = std::move(key_);
    }
    std::vector<std::string_view> keys;
    for (const GgufExtent& extent : result_.extents) keys.emplace_back(extent.key);
    if (const auto twice = find_duplicate(std::move(keys))) {
      corrupt("key twice", "unique keys", std::string(*twice));
    }
    if (more_left_out_ > 0) {
      result_.left_out.push_back({.what = std::to_string(more_left_out_) + " more arrays and strings"});
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void corrupt(std::string message, std::string expected, std::string found) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = std::move(message),
                 .file = path_.string(),
                 .offset = begin_,
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  Type read_type() {
    const std::uint32_t number = cursor_.u32();
    if (number < kTypes.size()) return static_cast<Type>(number);
    corrupt("unknown type of the value of " + key_, "a number below " + std::to_string(kTypes.size()),
            std::to_string(number));
  }

  void read_value() {
    const Type type = read_type();
    result_.extents.push_back({.type = static_cast<std::uint32_t>(type), .begin = cursor_.offset()});
    if (key_ == kGgufAlignmentKey) return read_alignment(type);
    if (type == Type::Array) return read_array();
    if (type != Type::String) {
      result_.values.emplace_back(key_, scalar(type));
      return;
    }
    std::string text = cursor_.text(string_bytes());
    if (utf8_valid_bytes(text) == text.size()) {
      result_.values.emplace_back(key_, std::move(text));
    } else {
      leave_out("a string that is not UTF-8");
    }
  }

  MetadataValue scalar(Type type) {
    switch (type) {
      case Type::U8:
        return std::int64_t{cursor_.u8()};
      case Type::I8:
        return std::int64_t{cursor_.number<std::int8_t>()};
      case Type::U16:
        return std::int64_t{cursor_.number<std::uint16_t>()};
      case Type::I16:
        return std::int64_t{cursor_.number<std::int16_t>()};
      case Type::U32:
        return std::int64_t{cursor_.u32()};
      case Type::I32:
        return std::int64_t{cursor_.number<std::int32_t>()};
      case Type::I64:
        return cursor_.number<std::int64_t>();
      case Type::F32:
        return static_cast<double>(cursor_.number<float>());
      case Type::F64:
        return cursor_.number<double>();
      case Type::Bool:
        return boolean();
      default:
        break;
    }
    const std::uint64_t value = cursor_.u64();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::to_string(value);
    return static_cast<std::int64_t>(value);
  }

  bool boolean() {
    const std::uint8_t value = cursor_.u8();
    if (value > 1) corrupt("bad bool in " + key_, "0 or 1", std::to_string(value));
    return value == 1;
  }

  std::uint64_t string_bytes() {
    const std::uint64_t bytes = cursor_.u64();
    if (bytes > kMaxCount) corrupt("string too long in " + key_, "at most 2^30 bytes", std::to_string(bytes));
    return bytes;
  }

  void read_array() {
    const Type type = read_type();
    if (type == Type::Array) {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "arrays of arrays are not read",
                   .file = path_.string(),
                   .offset = begin_,
                   .found = key_});
    }
    const TypeRow& row = kTypes[static_cast<std::size_t>(type)];
    const std::uint64_t count = cursor_.u64();
    const std::uint64_t least = row.bytes == 0 ? sizeof(std::uint64_t) : row.bytes;
    const auto bytes = io::checked_multiply(count, least);
    if (count > kMaxCount || !bytes || *bytes > cursor_.remaining()) {
      corrupt("array too long: " + key_,
              "at most 2^30 elements in the " + std::to_string(cursor_.remaining()) + " bytes that are left",
              std::to_string(count) + " " + std::string(row.plural));
    }
    if (type == Type::String) {
      for (std::uint64_t i = 0; i < count; ++i) cursor_.skip(string_bytes());
    } else if (type == Type::Bool) {
      for (std::uint64_t i = 0; i < count; ++i) boolean();
    } else {
      cursor_.skip(*bytes);
    }
    leave_out("array of " + std::to_string(count) + " " + std::string(row.plural));
  }

  void read_alignment(Type type) {
    if (type != Type::U32)
      corrupt("bad type of " + key_, "u32", std::string(kTypes[static_cast<std::size_t>(type)].plural));
    result_.alignment = cursor_.u32();
    if (!std::has_single_bit(result_.alignment) || result_.alignment > kMaxGgufAlignment) {
      corrupt("bad " + key_, "a power of two up to " + std::to_string(kMaxGgufAlignment),
              std::to_string(result_.alignment));
    }
    result_.values.emplace_back(key_, std::int64_t{result_.alignment});
  }

  void leave_out(const std::string& what) {
    if (result_.left_out.size() == kMaxLeftOut) {
      ++more_left_out_;
      return;
    }
    result_.left_out.push_back(
        {.what = key_ + " (" + what + ")", .size_bytes = static_cast<std::int64_t>(cursor_.offset() - begin_)});
  }

  HeaderCursor& cursor_;
  const Limits& limits_;
  const std::filesystem::path& path_;
  GgufMetadata result_;
  std::string key_;
  std::uint64_t begin_ = 0;  // of the key
  std::uint64_t more_left_out_ = 0;
};

}  // namespace

GgufMetadata read_gguf_metadata(HeaderCursor& cursor, std::uint64_t count, const Limits& limits,
                                const std::filesystem::path& path) {
  return Reader(cursor, limits, path).read(count);
}

std::string read_gguf_name(HeaderCursor& cursor, const Limits& limits, const std::filesystem::path& path) {
  const std::uint64_t offset = cursor.offset(), bytes = cursor.u64();
  if (bytes <= cursor.remaining() && bytes > limits.name_bytes) {
    refuse_limit(limits, &Limits::name_bytes,
                 {.message = "name too long", .file = path.string(), .offset = offset, .found = std::to_string(bytes)});
  }
  std::string name = cursor.text(bytes);
  if (utf8_valid_bytes(name) == name.size() && name.find('\0') == std::string::npos) return name;
  throw Error({.code = ErrorCode::Corrupt,
               .message = "bad name",
               .file = path.string(),
               .offset = offset,
               .expected = "UTF-8 without zeros",
               .found = name});
}

}  // namespace mq::formats
