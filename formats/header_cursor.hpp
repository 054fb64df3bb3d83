// Reads the header of a file front to back through a small window, so that a header of many megabytes of which little
// is kept costs no memory. Every step is checked against the end of the file and the limit on headers.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "formats/io/file.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

class HeaderCursor {
 public:
  // Both are borrowed.
  HeaderCursor(const io::File& file, const Limits& limits) noexcept : file_(file), limits_(limits) {}

  std::uint64_t offset() const noexcept { return offset_; }
  std::uint64_t remaining() const noexcept { return file_.size() - offset_; }  // in the file

  // All of them throw Corrupt if fewer bytes are left, Limit if the header becomes too long, Io.
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

  template <class T>
  requires std::integral<T> || std::floating_point<T> T number() {
    require(sizeof(T));
    std::array<std::byte, sizeof(T)> bytes;
    take(bytes);
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string text(std::uint64_t count);
  void skip(std::uint64_t count) {
    require(count);
    offset_ += count;
  }

 private:
  void require(std::uint64_t count) const;
  void take(std::span<std::byte> out);
  void fill();

  const io::File& file_;
  const Limits& limits_;
  std::uint64_t offset_ = 0;
  // The bytes of the file from window_begin_ on.
  std::array<std::byte, 1 << 14> window_{};
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_end_ = 0;
};

}  // namespace mq::formats
