// Deflated data behind two bytes that say how long it must become. Read whole, in pieces and from a copied cursor, it
// must be the same bytes or refused each time.
#include "formats/inflate.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"

namespace {

using namespace mq;

constexpr std::size_t kSizeBytes = 2;

std::string read_in_pieces(const formats::DeflatedRange& range, std::size_t piece_bytes) {
  std::string content(static_cast<std::size_t>(range.size_bytes), '\0');
  formats::InflateCursor cursor(range);
  for (std::size_t at = 0; at < content.size(); at += piece_bytes) {
    if (cursor.position() != at) fuzz::fail("a cursor is not where it was left");
    if (at % 3 == 1) cursor = cursor.copy();
    const std::size_t size = std::min(piece_bytes, content.size() - at);
    cursor.read(range, std::as_writable_bytes(std::span(content)).subspan(at, size));
  }
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kSizeBytes || !formats::can_inflate()) return 0;
  const auto& path = fuzz::input_file(fuzz::text_of(data, size));
  const io::File file = io::File::open(path);
  const std::string name = path.string() + ": record";
  const formats::DeflatedRange range{.file = file,
                                     .name = name,
                                     .offset = kSizeBytes,
                                     .stored_bytes = size - kSizeBytes,
                                     .size_bytes = static_cast<std::uint64_t>(data[0] | data[1] << 8)};
  std::optional<std::string> whole;
  fuzz::expect_verdict(path, [&] { whole = read_in_pieces(range, 1 << 16); });
  for (const std::size_t piece_bytes : {1 + range.size_bytes / 7, range.size_bytes / 2 + 1}) {
    std::optional<std::string> pieces;
    fuzz::expect_verdict(path, [&] { pieces = read_in_pieces(range, static_cast<std::size_t>(piece_bytes)); });
    if (pieces != whole) fuzz::fail("deflated data is other data when it is read in pieces");
  }
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_plain)
