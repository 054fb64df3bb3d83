// Verifies checksums of zip records that are read in pieces: any order, any thread, any sizes. Each piece is summed
// while it is at hand; when the pieces cover a record, their combined checksum must be the record's. A record that is
// read in part only is not verified. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "formats/zip.hpp"

namespace mq::formats {

class RecordChecksums {
 public:
  // archive is borrowed.
  explicit RecordChecksums(const ZipArchive& archive);

  // Whether pieces of this record are still of use: it has a checksum that was not verified yet.
  bool wanted(const ZipRecord& record) const;

  // Takes the checksum of the size_bytes bytes from first on. Pieces that overlap earlier ones are ignored.
  // Throws: Corrupt if the record is complete and its checksum wrong.
  void add(const ZipRecord& record, std::uint64_t first, std::uint64_t size_bytes, std::uint32_t crc);

  // Reads the whole record and verifies it, unless that was done or is being done by another thread.
  void verify(const ZipRecord& record);

 private:
  struct Piece {
    std::uint64_t end = 0;
    std::uint32_t crc = 0;
  };
  using Pieces = std::map<std::uint64_t, Piece>;  // by first byte; neighbours are merged at once

  std::size_t index_of(const ZipRecord& record) const;

  const ZipArchive& archive_;
  mutable std::mutex mutex_;
  std::vector<bool> settled_;  // verified, or not to be verified
  std::unordered_map<std::size_t, Pieces> open_;
};

}  // namespace mq::formats
