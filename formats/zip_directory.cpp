#include "formats/zip_directory.hpp"

#include <algorithm>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats::zip {
namespace {

constexpr std::size_t kMaxCommentBytes = 0xffff;

// Records up to this size may have become as small as they like: zeros, of which deflate makes a thousandth, are common
// in small tensors, and so little costs nobody anything.
constexpr std::uint64_t kFreeInflatedBytes = std::uint64_t{1} << 20;

[[noreturn]] void fail(ErrorCode code, const io::File& file, std::uint64_t offset, std::string message,
                       std::string expected = {}, std::string found = {}) {
  throw Error({.code = code,
               .message = std::move(message),
               .file = file.path().string(),
               .offset = offset,
               .expected = std::move(expected),
               .found = std::move(found)});
}

// Fails unless two statements of one fact are equal.
void agree(const io::File& file, std::uint64_t offset, const char* what, std::uint64_t expected, std::uint64_t found) {
  if (expected != found) {
    fail(ErrorCode::Corrupt, file, offset, what, std::to_string(expected), std::to_string(found));
  }
}

std::vector<std::byte> read_at(const io::File& file, std::uint64_t offset, std::uint64_t size_bytes) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  file.read(offset, bytes);
  return bytes;
}

// Where the end record begins: the last signature in the file, whose comment must then fill the rest of it.
std::uint64_t find_end(const io::File& file) {
  const std::uint64_t searched = std::min<std::uint64_t>(file.size(), kEndBytes + kMaxCommentBytes);
  const std::uint64_t first = file.size() - searched;
  const std::vector<std::byte> tail = read_at(file, first, searched);
  const std::size_t found = std::string_view(reinterpret_cast<const char*>(tail.data()), tail.size()).rfind("PK\5\6");
  if (found == std::string_view::npos) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "zip archive without an end of its directory",
                 .file = file.path().string(),
                 .offset = file.size(),
                 .hint = "the download or copy is incomplete"});
  }
  const std::uint64_t offset = first + found;
  if (file.size() - offset < kEndBytes) fail(ErrorCode::Corrupt, file, offset, "end of the zip directory is cut off");
  return offset;
}

// Replaces what the end record says by what the zip64 end record says, if there is one.
// Returns where the records of the end begin.
std::uint64_t read_end64(const io::File& file, std::uint64_t end_offset, DirectoryRange& range) {
  if (end_offset < kLocatorBytes) return end_offset;
  const std::uint64_t locator_offset = end_offset - kLocatorBytes;
  const std::string source = file.path().string();
  const std::vector<std::byte> locator_bytes = read_at(file, locator_offset, kLocatorBytes);
  io::ByteReader locator(locator_bytes, source, locator_offset);
  if (locator.u32() != kLocatorSignature) return end_offset;
  const std::uint32_t disk = locator.u32();
  const std::uint64_t offset = locator.u64();
  const std::uint32_t disks = locator.u32();
  if (disk != 0 || disks > 1) fail(ErrorCode::Unsupported, file, locator_offset, "zip archive on several disks");
  if (!io::range_fits(offset, kEnd64Bytes, locator_offset)) {
    fail(ErrorCode::Corrupt, file, locator_offset, "zip64 locator points outside the file", {}, std::to_string(offset));
  }
  const std::vector<std::byte> bytes = read_at(file, offset, kEnd64Bytes);
  io::ByteReader end(bytes, source, offset);
  if (end.u32() != kEnd64Signature) fail(ErrorCode::Corrupt, file, offset, "no zip64 end where the locator points");
  agree(file, offset, "size of the zip64 end", locator_offset - offset - 12, end.u64());
  end.skip(4);  // versions
  if (end.u32() != 0 || end.u32() != 0) fail(ErrorCode::Unsupported, file, offset, "zip archive on several disks");
  const std::uint64_t entries_here = end.u64();
  const DirectoryRange range64{.offset = 0, .size_bytes = 0, .entries = end.u64()};
  agree(file, offset, "number of zip records", range64.entries, entries_here);
  const std::uint64_t size_bytes = end.u64();
  const std::uint64_t directory_offset = end.u64();
  if (range.entries != kFull16) agree(file, end_offset, "number of zip records", range64.entries, range.entries);
  if (range.size_bytes != kFull32) agree(file, end_offset, "size of the zip directory", size_bytes, range.size_bytes);
  if (range.offset != kFull32) agree(file, end_offset, "offset of the zip directory", directory_offset, range.offset);
  range = {.offset = directory_offset, .size_bytes = size_bytes, .entries = range64.entries};
  return offset;
}

// Replaces the values that do not fit their 32-bit fields by those of the zip64 extra field.
void read_zip64_extra(const io::File& file, std::span<const std::byte> extra, std::uint64_t offset, ZipRecord& record,
                      std::uint32_t& disk) {
  const bool needed = record.size_bytes == kFull32 || record.stored_bytes == kFull32 ||
                      record.header_offset == kFull32 || disk == kFull16;
  const std::string source = file.path().string();
  io::ByteReader fields(extra, source, offset);
  bool found = false;
  while (!fields.at_end()) {
    const std::uint16_t id = fields.u16();
    const std::uint16_t size_bytes = fields.u16();
    const std::uint64_t field_offset = fields.offset();
    io::ByteReader field(fields.bytes(size_bytes), source, field_offset);
    if (id != kZip64Extra) continue;
    if (std::exchange(found, true)) fail(ErrorCode::Corrupt, file, field_offset, "two zip64 fields in one record");
    if (record.size_bytes == kFull32) record.size_bytes = field.u64();
    if (record.stored_bytes == kFull32) record.stored_bytes = field.u64();
    if (record.header_offset == kFull32) record.header_offset = field.u64();
    if (disk == kFull16) disk = field.u32();
  }
  if (needed && !found) fail(ErrorCode::Corrupt, file, offset, "zip record without the zip64 field that it refers to");
}

ZipRecord::Method method_of(const io::File& file, std::uint64_t offset, std::uint16_t code, const std::string& name) {
  if (code == 0) return ZipRecord::Method::Stored;
  if (code == 8) return ZipRecord::Method::Deflated;
  fail(ErrorCode::Unsupported, file, offset, "compression method of record " + name, "0 (stored) or 8 (deflated)",
       std::to_string(code));
}

void require_ratio(const io::File& file, std::uint64_t offset, const ZipRecord& record, const Limits& limits) {
  if (record.method == ZipRecord::Method::Stored || record.size_bytes <= kFreeInflatedBytes) return;
  const auto allowed = io::checked_multiply(record.stored_bytes, limits.deflate_ratio);
  if (!allowed || record.size_bytes <= *allowed) return;
  refuse_limit(limits, &Limits::deflate_ratio,
               {.message = "compression ratio of record " + record.name,
                .file = file.path().string(),
                .offset = offset,
                .found = std::to_string(record.size_bytes) + " bytes from " + std::to_string(record.stored_bytes)});
}

Entry read_entry(const io::File& file, io::ByteReader& reader, const Limits& limits) {
  const std::uint64_t offset = reader.offset();
  if (reader.u32() != kCentralSignature) {
    fail(ErrorCode::Corrupt, file, offset, "no entry where the zip directory must have one");
  }
  Entry entry;
  ZipRecord& record = entry.record;
  reader.skip(4);  // versions
  entry.flags = reader.u16();
  const std::uint16_t method = reader.u16();
  reader.skip(4);  // time and date; torch writes ones that are no calendar date
  record.crc = reader.u32();
  record.stored_bytes = reader.u32();
  record.size_bytes = reader.u32();
  const std::uint16_t name_bytes = reader.u16();
  const std::uint16_t extra_bytes = reader.u16();
  const std::uint16_t comment_bytes = reader.u16();
  std::uint32_t disk = reader.u16();
  reader.skip(6);  // attributes
  record.header_offset = reader.u32();
  record.name = reader.text(name_bytes);
  const std::uint64_t extra_offset = reader.offset();
  read_zip64_extra(file, reader.bytes(extra_bytes), extra_offset, record, disk);
  reader.skip(comment_bytes);

  if (record.name.empty()) fail(ErrorCode::Corrupt, file, offset, "zip record without a name");
  if (disk != 0) fail(ErrorCode::Unsupported, file, offset, "zip archive on several disks");
  if (entry.flags & (kEncrypted | kStronglyEncrypted | kMasked)) {
    fail(ErrorCode::Unsupported, file, offset, "record " + record.name + " is encrypted");
  }
  if (entry.flags & kPatched) fail(ErrorCode::Unsupported, file, offset, "record " + record.name + " is a patch");
  record.method = method_of(file, offset, method, record.name);
  if (record.method == ZipRecord::Method::Stored && record.stored_bytes != record.size_bytes) {
    fail(ErrorCode::Corrupt, file, offset, "sizes of stored record " + record.name + " differ",
         std::to_string(record.size_bytes), std::to_string(record.stored_bytes));
  }
  if (record.size_bytes == 0 && record.crc != 0) {
    fail(ErrorCode::Corrupt, file, offset, "checksum of empty record " + record.name, "0", std::to_string(record.crc));
  }
  require_ratio(file, offset, record, limits);
  return entry;
}

}  // namespace

DirectoryRange find_directory(const io::File& file) {
  if (file.size() < kEndBytes) fail(ErrorCode::Corrupt, file, 0, "too small for a zip archive");
  const std::uint64_t end_offset = find_end(file);
  const std::string source = file.path().string();
  const std::vector<std::byte> bytes = read_at(file, end_offset, kEndBytes);
  io::ByteReader end(bytes, source, end_offset);
  end.skip(4);
  const std::uint16_t disk = end.u16();
  const std::uint16_t directory_disk = end.u16();
  const std::uint16_t entries_here = end.u16();
  DirectoryRange range;
  range.entries = end.u16();
  range.size_bytes = end.u32();
  range.offset = end.u32();
  agree(file, end_offset, "bytes after the zip archive", end.u16(), file.size() - end_offset - kEndBytes);
  if (disk != 0 || directory_disk != 0) fail(ErrorCode::Unsupported, file, end_offset, "zip archive on several disks");
  agree(file, end_offset, "number of zip records", range.entries, entries_here);
  const std::uint64_t tail_offset = read_end64(file, end_offset, range);
  if (io::checked_add(range.offset, range.size_bytes) != tail_offset) {
    fail(ErrorCode::Corrupt, file, end_offset, "zip directory does not end where its end begins",
         std::to_string(tail_offset), std::to_string(range.offset) + " + " + std::to_string(range.size_bytes));
  }
  return range;
}

std::vector<Entry> read_directory(const io::File& file, const DirectoryRange& range, const Limits& limits) {
  const auto require = [&](std::uint64_t Limits::*limit, const char* what, std::uint64_t found) {
    if (found <= limits.*limit) return;
    refuse_limit(
        limits, limit,
        {.message = what, .file = file.path().string(), .offset = range.offset, .found = std::to_string(found)});
  };
  require(&Limits::entries, "records of a zip archive", range.entries);
  require(&Limits::header_bytes, "bytes of a zip directory", range.size_bytes);
  if (range.entries > range.size_bytes / kCentralBytes) {
    fail(ErrorCode::Corrupt, file, range.offset, "more zip records than the directory has room for",
         std::to_string(range.size_bytes / kCentralBytes), std::to_string(range.entries));
  }
  const std::vector<std::byte> bytes = read_at(file, range.offset, range.size_bytes);
  const std::string source = file.path().string();
  io::ByteReader reader(bytes, source, range.offset);
  std::vector<Entry> entries;
  entries.reserve(static_cast<std::size_t>(range.entries));
  for (std::uint64_t i = 0; i < range.entries; ++i) entries.push_back(read_entry(file, reader, limits));
  if (!reader.at_end())
    fail(ErrorCode::Corrupt, file, reader.offset(), "bytes after the last entry of the zip directory");
  return entries;
}

}  // namespace mq::formats::zip
