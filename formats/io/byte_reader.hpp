// A cursor over bytes of a file: little-endian integers and slices, every step checked against what is left.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "mq/error.hpp"

namespace mq::io {

static_assert(std::endian::native == std::endian::little, "stored numbers are copied without swapping");

class ByteReader {
 public:
  // bytes stand at offset first_offset of the file (or record) that `source` names in errors; both are borrowed.
  ByteReader(std::span<const std::byte> bytes, std::string_view source, std::uint64_t first_offset = 0) noexcept
      : bytes_(bytes), source_(source), first_offset_(first_offset) {}

  std::size_t remaining() const noexcept { return bytes_.size() - position_; }
  bool at_end() const noexcept { return remaining() == 0; }
  // Where the next byte stands in the file.
  std::uint64_t offset() const noexcept { return first_offset_ + position_; }

  // All of them throw Corrupt if fewer bytes are left.
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::int8_t i8() { return number<std::int8_t>(); }
  std::int16_t i16() { return number<std::int16_t>(); }
  std::int32_t i32() { return number<std::int32_t>(); }
  std::int64_t i64() { return number<std::int64_t>(); }
  float f32() { return number<float>(); }
  double f64() { return number<double>(); }

  std::span<const std::byte> bytes(std::uint64_t count) {
    if (count > remaining()) fail(count);
    const auto slice = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += slice.size();
    return slice;
  }
  std::string_view text(std::uint64_t count) {
    const auto slice = bytes(count);
    return {reinterpret_cast<const char*>(slice.data()), slice.size()};
  }
  void skip(std::uint64_t count) { bytes(count); }

 private:
  template <class T>
  requires std::integral<T> || std::floating_point<T> T number() {
    T value;
    std::memcpy(&value, bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }

  [[noreturn]] void fail(std::uint64_t count) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "truncated",
                 .file = std::string(source_),
                 .offset = offset(),
                 .expected = std::to_string(count) + " bytes",
                 .found = std::to_string(remaining())});
  }

  std::span<const std::byte> bytes_;
  std::string_view source_;
  std::uint64_t first_offset_;
  std::size_t position_ = 0;
};

}  // namespace mq::io
