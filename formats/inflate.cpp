// The inflater of zlib. A stored position is a copy of its whole state, which may be taken anywhere, unlike positions
// between two deflate blocks, of which hostile data may have only one.
#include "formats/inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "mq/error.hpp"

namespace mq::formats {
namespace {

constexpr std::size_t kInputBytes = 32 * 1024;
constexpr std::size_t kSkipBytes = 64 * 1024;
constexpr std::size_t kMaxOutputBytes = std::size_t{1} << 30;  // zlib counts them in 32 bits
constexpr int kRawDeflate = -15;                               // no header and no checksum around it

}  // namespace

bool can_inflate() noexcept {
  return true;
}

struct InflateCursor::State {
  z_stream stream{};
  std::uint64_t position = 0;    // in the content
  std::uint64_t next_input = 0;  // first byte of the range that was not read from the file yet
  bool ended = false;
  std::vector<Bytef> input;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { inflateEnd(&stream); }

  std::uint64_t consumed() const noexcept { return next_input - stream.avail_in; }

  [[noreturn]] void fail(const DeflatedRange& range, std::string message, std::string expected = {},
                         std::string found = {}) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = std::move(message),
                 .file = range.file.path().string() + ": " + std::string(range.name),
                 .offset = range.offset + consumed(),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  void refill(const DeflatedRange& range) {
    if (stream.avail_in != 0 || next_input == range.stored_bytes) return;
    input.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kInputBytes, range.stored_bytes - next_input)));
    range.file.read(range.offset + next_input, std::as_writable_bytes(std::span(input)));
    next_input += input.size();
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(input.size());
  }

  // Inflates into out what one call gives; may be nothing. Returns the number of bytes.
  std::size_t step(const DeflatedRange& range, std::span<std::byte> out) {
    refill(range);
    const std::size_t room = std::min(out.size(), kMaxOutputBytes);
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    const std::size_t made = room - stream.avail_out;
    position += made;
    if (result == Z_STREAM_END) {
      ended = true;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result == Z_BUF_ERROR) {
      fail(range, "the deflated data is cut off", std::to_string(range.size_bytes) + " bytes of content",
           std::to_string(position));
    } else if (result != Z_OK) {
      fail(range, "the deflated data is damaged", {}, stream.msg == nullptr ? "" : stream.msg);
    }
    return made;
  }

  void require_end(const DeflatedRange& range) {
    std::array<std::byte, 1> more;
    while (!ended) {
      if (step(range, more) == 0) continue;
      fail(range, "the deflated data is longer than the record", std::to_string(range.size_bytes) + " bytes of content",
           "more");
    }
    if (consumed() != range.stored_bytes) {
      fail(range, "bytes after the end of the deflated data", std::to_string(range.stored_bytes),
           std::to_string(consumed()));
    }
  }
};

InflateCursor::InflateCursor(const DeflatedRange&) : state_(std::make_unique<State>()) {
  if (inflateInit2(&state_->stream, kRawDeflate) != Z_OK) throw std::bad_alloc();
}

InflateCursor::InflateCursor(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
InflateCursor::InflateCursor(InflateCursor&&) noexcept = default;
InflateCursor& InflateCursor::operator=(InflateCursor&&) noexcept = default;
InflateCursor::~InflateCursor() = default;

InflateCursor InflateCursor::copy() const {
  auto state = std::make_unique<State>();
  // zlib does not change what it copies from, it only lacks the const.
  if (inflateCopy(&state->stream, &state_->stream) != Z_OK) throw std::bad_alloc();
  state->position = state_->position;
  state->next_input = state_->consumed();
  state->stream.avail_in = 0;
  state->ended = state_->ended;
  return InflateCursor(std::move(state));
}

std::uint64_t InflateCursor::position() const noexcept {
  return state_->position;
}

void InflateCursor::read(const DeflatedRange& range, std::span<std::byte> out) {
  while (!out.empty()) {
    if (state_->ended) {
      state_->fail(range, "the deflated data is shorter than the record",
                   std::to_string(range.size_bytes) + " bytes of content", std::to_string(state_->position));
    }
    out = out.subspan(state_->step(range, out));
  }
  if (state_->position == range.size_bytes) state_->require_end(range);
}

void InflateCursor::skip(const DeflatedRange& range, std::uint64_t size_bytes) {
  std::array<std::byte, kSkipBytes> unwanted;
  for (std::uint64_t left = size_bytes; left > 0;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, unwanted.size()));
    read(range, std::span(unwanted).first(piece));
    left -= piece;
  }
}

}  // namespace mq::formats
