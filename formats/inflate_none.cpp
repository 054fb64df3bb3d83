// In place of inflate.cpp where there is no zlib: deflated data is refused by name.
#include <string>

#include "formats/inflate.hpp"
#include "mq/error.hpp"

namespace mq::formats {

struct InflateCursor::State {};

bool can_inflate() noexcept {
  return false;
}

InflateCursor::InflateCursor(const DeflatedRange& range) {
  throw Error({.code = ErrorCode::Unsupported,
               .message = "the record is compressed (deflate)",
               .file = range.file.path().string() + ": " + std::string(range.name),
               .expected = "a stored record: this build has no zlib",
               .hint = "repack the archive without compression"});
}

InflateCursor::InflateCursor(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
InflateCursor::InflateCursor(InflateCursor&&) noexcept = default;
InflateCursor& InflateCursor::operator=(InflateCursor&&) noexcept = default;
InflateCursor::~InflateCursor() = default;

// There is no cursor to call these on.
InflateCursor InflateCursor::copy() const {
  return InflateCursor(std::unique_ptr<State>());
}
std::uint64_t InflateCursor::position() const noexcept {
  return 0;
}
void InflateCursor::read(const DeflatedRange&, std::span<std::byte>) {}
void InflateCursor::skip(const DeflatedRange&, std::uint64_t) {}

}  // namespace mq::formats
