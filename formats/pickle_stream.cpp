#include "formats/pickle_stream.hpp"

#include <algorithm>
#include <span>

#include "formats/limits.hpp"
#include "formats/pickle.hpp"

namespace mq::formats {
namespace {

constexpr std::uint64_t kFirstBytes = 64 * 1024;
constexpr std::uint64_t kGrowth = 4;

}  // namespace

PickleRange find_pickle(const io::File& file, std::uint64_t offset, const std::string& source, const Limits& limits) {
  const std::uint64_t left = file.size() - std::min(offset, file.size());
  std::string bytes;
  for (std::uint64_t window = kFirstBytes;; window *= kGrowth) {
    const std::uint64_t size_bytes = std::min({window, left, limits.header_bytes});
    bytes.resize(static_cast<std::size_t>(size_bytes));
    file.read(offset, std::as_writable_bytes(std::span(bytes)));
    const bool complete = size_bytes == left;
    const auto size = pickle::size_of_first(std::as_bytes(std::span(bytes)), source, limits, complete);
    if (size) return {offset, *size};
    if (size_bytes == limits.header_bytes) {
      refuse_limit(limits, &Limits::header_bytes, {.message = "bytes of a pickle", .file = source, .found = "more"});
    }
  }
}

std::string read_pickle_text(const io::File& file, const PickleRange& range) {
  std::string bytes(static_cast<std::size_t>(range.size_bytes), '\0');
  file.read(range.offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace mq::formats
