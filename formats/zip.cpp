#include "formats/zip.hpp"

#include <cstring>
#include <utility>

#include "formats/crc.hpp"
#include "formats/deflated_reads.hpp"
#include "formats/zip_directory.hpp"
#include "mq/error.hpp"

namespace mq::formats {

bool ZipArchive::begins(std::span<const std::byte> first_bytes) noexcept {
  return first_bytes.size() >= 4 && std::memcmp(first_bytes.data(), "PK\3\4", 4) == 0;
}

ZipArchive::ZipArchive(io::File file, const Limits& limits, bool verify_data)
    : file_(std::move(file)), verify_data_(verify_data), deflated_(std::make_unique<DeflatedReads>()) {
  const zip::DirectoryRange range = zip::find_directory(file_);
  std::vector<zip::Entry> entries = zip::read_directory(file_, range, limits);
  records_.reserve(entries.size());
  by_name_.reserve(entries.size());
  zip::check_local_headers(file_, range, entries);
  for (zip::Entry& entry : entries) {
    const ZipRecord& record = records_.emplace_back(std::move(entry.record));
    if (!by_name_.emplace(record.name, records_.size() - 1).second) {
      throw Error({.code = ErrorCode::Corrupt,
                   .message = "two zip records are called " + record.name,
                   .file = file_.path().string(),
                   .offset = record.header_offset});
    }
  }
}

ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive::~ZipArchive() = default;

const ZipRecord* ZipArchive::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &records_[found->second];
}

void ZipArchive::read(const ZipRecord& record, std::uint64_t first, std::span<std::byte> out) const {
  if (record.method == ZipRecord::Method::Deflated) {
    const DeflatedRange range{.file = file_,
                              .name = record.name,
                              .offset = record.data_offset,
                              .stored_bytes = record.stored_bytes,
                              .size_bytes = record.size_bytes};
    return deflated_->read(range, first, out);
  }
  file_.read(record.data_offset + first, out);
}

std::string ZipArchive::read_text(const ZipRecord& record, std::uint64_t max_bytes) const {
  if (record.size_bytes > max_bytes) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "the record is too large",
                 .file = where(record),
                 .expected = "at most " + std::to_string(max_bytes) + " bytes",
                 .found = std::to_string(record.size_bytes)});
  }
  std::string text(static_cast<std::size_t>(record.size_bytes), '\0');
  read(record, 0, std::as_writable_bytes(std::span(text)));
  const std::uint32_t crc = record.crc == 0 ? 0 : crc32(0, std::as_bytes(std::span(text)));
  if (crc != record.crc) fail_checksum(record, crc);
  return text;
}

void ZipArchive::fail_checksum(const ZipRecord& record, std::uint32_t crc) const {
  throw Error({.code = ErrorCode::Corrupt,
               .message = "checksum of the record",
               .file = where(record),
               .expected = std::to_string(record.crc),
               .found = std::to_string(crc)});
}

std::string ZipArchive::where(const ZipRecord& record) const {
  return file_.path().string() + ": " + record.name;
}

}  // namespace mq::formats
