// Local headers and data descriptors: the second copies of what the central directory says.
#include <algorithm>
#include <numeric>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/zip_directory.hpp"
#include "mq/error.hpp"

namespace mq::formats::zip {
namespace {

constexpr std::size_t kMaxDescriptorBytes = 24;

// Reads ahead, so that the headers of small records, which lie close together, cost one read for many of them.
class Window {
 public:
  // Bytes of the file up to end may be asked for.
  Window(const io::File& file, std::uint64_t end) : file_(file), end_(end) {}

  // The bytes at offset, as many of the size_bytes as there are before the end. Valid until the next call.
  std::span<const std::byte> at(std::uint64_t offset, std::size_t size_bytes) {
    if (offset >= end_) return {};
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size_bytes, end_ - offset));
    if (offset < first_ || !io::range_fits(offset - first_, wanted, bytes_.size())) {
      bytes_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(kAhead, wanted), end_ - offset)));
      file_.read(offset, bytes_);
      first_ = offset;
    }
    return std::span(bytes_).subspan(static_cast<std::size_t>(offset - first_), wanted);
  }

 private:
  static constexpr std::size_t kAhead = 8192;

  const io::File& file_;
  std::uint64_t end_;
  std::uint64_t first_ = 0;
  std::vector<std::byte> bytes_;
};

struct Local {
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::uint16_t name_bytes = 0;
  std::uint16_t extra_bytes = 0;
};

class LocalChecker {
 public:
  LocalChecker(const io::File& file, std::uint64_t end)
      : source_(file.path().string()), end_(end), window_(file, end) {}

  // Checks the record and returns where it ends.
  std::uint64_t check(Entry& entry) {
    const ZipRecord& record = entry.record;
    Local local = read_header(record);
    const std::uint64_t name_offset = record.header_offset + kLocalBytes;
    if (text(name_offset, local.name_bytes) != record.name) fail(record, "another name in the local header");
    read_zip64(record, name_offset + local.name_bytes, local);
    compare(entry, local);
    entry.record.data_offset = name_offset + local.name_bytes + local.extra_bytes;
    if (!io::range_fits(record.data_offset, record.stored_bytes, end_)) {
      fail(record, "data reaches into the zip directory", std::to_string(end_ - std::min(end_, record.data_offset)),
           std::to_string(record.stored_bytes));
    }
    const std::uint64_t data_end = record.data_offset + record.stored_bytes;
    return entry.flags & kDescriptor ? data_end + descriptor_bytes(record, data_end) : data_end;
  }

  [[noreturn]] void fail(const ZipRecord& record, std::string message, std::string expected = {},
                         std::string found = {}) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "zip record " + record.name + ": " + std::move(message),
                 .file = source_,
                 .offset = record.header_offset,
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

 private:
  std::string_view text(std::uint64_t offset, std::size_t size_bytes) {
    const std::span<const std::byte> bytes = window_.at(offset, size_bytes);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Local read_header(const ZipRecord& record) {
    const std::span<const std::byte> bytes = window_.at(record.header_offset, kLocalBytes);
    if (bytes.size() < kLocalBytes) fail(record, "local header outside the records");
    io::ByteReader reader(bytes, source_, record.header_offset);
    if (reader.u32() != kLocalSignature) fail(record, "no local header where the directory points");
    Local local;
    reader.skip(2);  // version
    local.flags = reader.u16();
    local.method = reader.u16();
    reader.skip(4);  // time and date
    local.crc = reader.u32();
    local.stored_bytes = reader.u32();
    local.size_bytes = reader.u32();
    local.name_bytes = reader.u16();
    local.extra_bytes = reader.u16();
    return local;
  }

  // Replaces sizes that do not fit 32 bits by those of the zip64 extra field. With a descriptor they are not needed.
  void read_zip64(const ZipRecord& record, std::uint64_t offset, Local& local) {
    const bool full = local.stored_bytes == kFull32 || local.size_bytes == kFull32;
    if (!full || local.flags & kDescriptor) return;
    const std::span<const std::byte> bytes = window_.at(offset, local.extra_bytes);
    io::ByteReader fields(bytes, source_, offset);
    while (!fields.at_end()) {
      const std::uint16_t id = fields.u16();
      const std::uint16_t size_bytes = fields.u16();
      const std::uint64_t field_offset = fields.offset();
      io::ByteReader field(fields.bytes(size_bytes), source_, field_offset);
      if (id != kZip64Extra) continue;
      if (local.size_bytes == kFull32) local.size_bytes = field.u64();
      if (local.stored_bytes == kFull32) local.stored_bytes = field.u64();
      return;
    }
    fail(record, "local header without the zip64 field that it refers to");
  }

  void compare(const Entry& entry, const Local& local) const {
    const ZipRecord& record = entry.record;
    const auto agree = [&](const char* what, std::uint64_t expected, std::uint64_t found) {
      // A writer that appends a descriptor may not have known the value, and leaves 0 or "see zip64" here.
      const bool open = (entry.flags & kDescriptor) != 0 && (found == 0 || found == kFull32);
      if (expected != found && !open) fail(record, what, std::to_string(expected), std::to_string(found));
    };
    constexpr std::uint16_t kShared = kEncrypted | kDescriptor | kPatched | kStronglyEncrypted | kMasked;
    if ((entry.flags & kShared) != (local.flags & kShared)) fail(record, "other flags in the local header");
    const std::uint16_t method = record.method == ZipRecord::Method::Stored ? 0 : 8;
    if (local.method != method) fail(record, "other compression method in the local header");
    agree("checksum in the local header", record.crc, local.crc);
    agree("compressed size in the local header", record.stored_bytes, local.stored_bytes);
    agree("size in the local header", record.size_bytes, local.size_bytes);
  }

  // Bytes of the descriptor at offset. Writers differ in two ways that nothing announces: with or without a signature,
  // sizes of 32 or 64 bits. The right form is the one whose values are the directory's.
  std::size_t descriptor_bytes(const ZipRecord& record, std::uint64_t offset) {
    const std::span<const std::byte> bytes = window_.at(offset, kMaxDescriptorBytes);
    for (const bool wide : {false, true}) {
      for (const bool with_signature : {true, false}) {
        const std::size_t size_bytes = (with_signature ? 8u : 4u) + (wide ? 16u : 8u);
        if (bytes.size() < size_bytes) continue;
        io::ByteReader reader(bytes, source_, offset);
        if (with_signature && reader.u32() != kDescriptorSignature) continue;
        const std::uint32_t crc = reader.u32();
        const std::uint64_t stored_bytes = wide ? reader.u64() : reader.u32();
        const std::uint64_t content_bytes = wide ? reader.u64() : reader.u32();
        if (crc == record.crc && stored_bytes == record.stored_bytes && content_bytes == record.size_bytes) {
          return size_bytes;
        }
      }
    }
    fail(record, "data descriptor does not agree with the directory");
  }

  std::string source_;
  std::uint64_t end_;  // of the records: where the directory begins
  Window window_;
};

}  // namespace

void check_local_headers(const io::File& file, const DirectoryRange& range, std::vector<Entry>& entries) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return entries[i].record.header_offset; });
  LocalChecker checker(file, range.offset);
  std::uint64_t previous_end = 0;
  for (const std::size_t i : order) {
    Entry& entry = entries[i];
    if (entry.record.header_offset < previous_end) {
      checker.fail(entry.record, "overlaps the record before it", "at least " + std::to_string(previous_end),
                   std::to_string(entry.record.header_offset));
    }
    previous_end = checker.check(entry);
  }
}

}  // namespace mq::formats::zip
