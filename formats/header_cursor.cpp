#include "formats/header_cursor.hpp"

#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats {

void HeaderCursor::require(std::uint64_t count) const {
  if (count > remaining()) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "truncated",
                 .file = file_.path().string(),
                 .offset = offset_,
                 .expected = std::to_string(count) + " bytes",
                 .found = std::to_string(remaining())});
  }
  const std::uint64_t left = limits_.header_bytes - std::min(limits_.header_bytes, offset_);
  if (count <= left) return;
  refuse_limit(limits_, &Limits::header_bytes,
               {.message = "header too large",
                .file = file_.path().string(),
                .offset = offset_,
                .found = "at least " + std::to_string(offset_ + count) + " bytes"});
}

std::string HeaderCursor::text(std::uint64_t count) {
  require(count);
  std::string value(static_cast<std::size_t>(count), '\0');
  take(std::as_writable_bytes(std::span(value)));
  return value;
}

void HeaderCursor::take(std::span<std::byte> out) {
  while (!out.empty()) {
    if (offset_ < window_begin_ || offset_ >= window_end_) fill();
    const std::size_t count = std::min(out.size(), static_cast<std::size_t>(window_end_ - offset_));
    std::memcpy(out.data(), window_.data() + (offset_ - window_begin_), count);
    offset_ += count;
    out = out.subspan(count);
  }
}

void HeaderCursor::fill() {
  const std::uint64_t count = std::min<std::uint64_t>(window_.size(), remaining());
  file_.read(offset_, std::span(window_).first(static_cast<std::size_t>(count)));
  window_begin_ = offset_;
  window_end_ = offset_ + count;
}

}  // namespace mq::formats
