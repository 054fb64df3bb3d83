// Reads the directory of a zip archive and the data of its records.
//
// Strict: an archive is accepted only if every fact that it states twice is stated equally, so that no other reader can
// see another content under a name: names, methods, sizes and checksums of local headers, data descriptors and the
// central directory agree, records do not overlap, no name occurs twice, the directory ends where the file ends. Names
// are keys, never paths.
//
//   Layout: (local header, name, extra, data, [data descriptor])*, central directory, [zip64 end, zip64 locator], end
//
// Immutable once opened; reading is thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

struct ZipRecord {
  enum class Method : std::uint8_t { Stored, Deflated };

  std::string name;
  Method method = Method::Stored;
  std::uint32_t crc = 0;            // of the content; writers that do not compute it leave 0
  std::uint64_t header_offset = 0;  // of the local header in the file
  std::uint64_t data_offset = 0;    // of the data in the file
  std::uint64_t stored_bytes = 0;   // of the data as it lies in the file
  std::uint64_t size_bytes = 0;     // of the content
};

class DeflatedReads;

class ZipArchive {
 public:
  // Reads the whole structure, no data.
  // Throws: Io; Corrupt (naming the record and the offset of what contradicts itself), Unsupported (encrypted, several
  // disks, an unknown compression method), Limit (more records, or records that would become larger, than that allows).
  // verify_data: see OpenOptions::verify_checksums.
  explicit ZipArchive(io::File file, const Limits& limits = {}, bool verify_data = true);
  ZipArchive(ZipArchive&& other) noexcept;
  ~ZipArchive();

  // Whether a file that begins with these bytes is a zip archive with a record at its very beginning.
  static bool begins(std::span<const std::byte> first_bytes) noexcept;

  const io::File& file() const noexcept { return file_; }
  std::span<const ZipRecord> records() const noexcept { return records_; }  // in the order of the central directory
  const ZipRecord* find(std::string_view name) const noexcept;
  bool verifies_data() const noexcept { return verify_data_; }

  // Fills out with the content of a record from first on; the caller keeps first + out.size() <= size_bytes.
  // Deflated records cost time for what lies before, see formats/deflated_reads.hpp.
  // Throws: Io; Corrupt if the file ends before or deflated data is not what it should be; Unsupported for a deflated
  // record in a build that cannot inflate.
  void read(const ZipRecord& record, std::uint64_t first, std::span<std::byte> out) const;
  // The whole content, whose checksum must be the record's unless that is 0.
  // Throws: as above; Limit if it exceeds max_bytes, Corrupt if the checksums differ.
  std::string read_text(const ZipRecord& record, std::uint64_t max_bytes) const;

  // Throws Corrupt for a record whose content has another checksum than it should.
  [[noreturn]] void fail_checksum(const ZipRecord& record, std::uint32_t crc) const;

  // "model.pt: model/data/0": where errors about a record say they are.
  std::string where(const ZipRecord& record) const;

 private:
  io::File file_;
  bool verify_data_;
  std::vector<ZipRecord> records_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::unique_ptr<DeflatedReads> deflated_;
};

}  // namespace mq::formats
