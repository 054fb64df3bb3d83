#include "formats/record_checksums.hpp"

#include <algorithm>
#include <iterator>

#include "formats/crc.hpp"
#include "formats/crc_combine.hpp"

namespace mq::formats {
namespace {

// A reader that touches so many separate places does not read the record through; its book-keeping is given up.
constexpr std::size_t kMaxPieces = 4096;

constexpr std::uint64_t kScanBytes = std::uint64_t{1} << 20;

}  // namespace

RecordChecksums::RecordChecksums(const ZipArchive& archive)
    : archive_(archive), settled_(archive.records().size(), !archive.verifies_data()) {}

std::size_t RecordChecksums::index_of(const ZipRecord& record) const {
  return static_cast<std::size_t>(&record - archive_.records().data());
}

bool RecordChecksums::wanted(const ZipRecord& record) const {
  if (record.crc == 0) return false;
  const std::lock_guard lock(mutex_);
  return !settled_[index_of(record)];
}

void RecordChecksums::add(const ZipRecord& record, std::uint64_t first, std::uint64_t size_bytes, std::uint32_t crc) {
  if (size_bytes == 0) return;
  const std::size_t index = index_of(record);
  std::uint64_t end = first + size_bytes;
  {
    const std::lock_guard lock(mutex_);
    if (settled_[index]) return;
    Pieces& pieces = open_[index];
    auto next = pieces.lower_bound(first);
    if (next != pieces.end() && next->first < end) return;
    if (next != pieces.begin()) {
      const auto previous = std::prev(next);
      if (previous->second.end > first) return;
      if (previous->second.end == first) {
        crc = crc32_combine(previous->second.crc, crc, size_bytes);
        first = previous->first;
        pieces.erase(previous);
      }
    }
    if (next != pieces.end() && next->first == end) {
      crc = crc32_combine(crc, next->second.crc, next->second.end - next->first);
      end = next->second.end;
      pieces.erase(next);
    }
    const bool complete = first == 0 && end == record.size_bytes;
    if (!complete) pieces.emplace(first, Piece{end, crc});
    if (!complete && pieces.size() <= kMaxPieces) return;
    open_.erase(index);
    settled_[index] = !complete || crc == record.crc;
    if (!complete) return;
  }
  if (crc != record.crc) archive_.fail_checksum(record, crc);
}

void RecordChecksums::verify(const ZipRecord& record) {
  const std::size_t index = index_of(record);
  {
    const std::lock_guard lock(mutex_);
    if (record.crc == 0 || settled_[index]) return;
    settled_[index] = true;
  }
  std::uint32_t crc = 0;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kScanBytes, record.size_bytes)));
  for (std::uint64_t first = 0; first < record.size_bytes; first += buffer.size()) {
    const std::span piece(buffer.data(),
                          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), record.size_bytes - first)));
    archive_.read(record, first, piece);
    crc = crc32(crc, piece);
  }
  if (crc == record.crc) return;
  const std::lock_guard lock(mutex_);
  settled_[index] = false;
  archive_.fail_checksum(record, crc);
}

}  // namespace mq::formats
