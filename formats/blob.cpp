#include "formats/blob.hpp"

#include <algorithm>

#include "formats/crc.hpp"

namespace mq::formats {
namespace {

// Bytes are summed while the piece just read is still in the cache.
constexpr std::size_t kPieceBytes = 256 * 1024;

}  // namespace

void RecordBlob::read(std::uint64_t first, std::span<std::byte> out) const {
  if (!checksums_.wanted(record_)) return archive_.read(record_, first, out);
  std::uint32_t crc = 0;
  for (std::size_t at = 0; at < out.size(); at += kPieceBytes) {
    const std::span<std::byte> piece = out.subspan(at, std::min(kPieceBytes, out.size() - at));
    archive_.read(record_, first + at, piece);
    crc = crc32(crc, piece);
  }
  checksums_.add(record_, first, out.size(), crc);
}

void RecordBlob::read_scattered(std::uint64_t first, std::span<std::byte> out) const {
  archive_.read(record_, first, out);
}

void MemoryBlob::read(std::uint64_t first, std::span<std::byte> out) const {
  std::ranges::copy(std::span(bytes_).subspan(static_cast<std::size_t>(first), out.size()), out.begin());
}

}  // namespace mq::formats
