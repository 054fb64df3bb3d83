#include "formats/zip_layout.hpp"

#include <algorithm>
#include <cstring>

#include "formats/zip_directory.hpp"
#include "mq/error.hpp"

namespace mq::formats::zip {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 63;
constexpr std::uint16_t kPaddingExtra = 0x4246;  // "FB"
constexpr char kPadding = 'Z';
constexpr std::uint64_t kExtraHeaderBytes = 4;  // of an extra field: its id and length
constexpr std::uint16_t kUnixVersion30 = 0x031e, kZip64Version = 45;

template <class T>
void append(std::string& out, T number) {
  const std::size_t at = out.size();
  out.resize(at + sizeof number);
  std::memcpy(out.data() + at, &number, sizeof number);
}

std::uint16_t flags_of(const PlacedRecord& record) {
  return record.size_bytes == 0 ? kUtf8Name : static_cast<std::uint16_t>(kUtf8Name | kDescriptor);
}

std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, kFull32));
}

std::uint64_t zip64_bytes(std::uint64_t header_offset, std::uint64_t size_bytes) {
  const std::uint64_t fields = (size_bytes >= kFull32 ? 16 : 0) + (header_offset >= kFull32 ? 8 : 0);
  return fields == 0 ? 0 : kExtraHeaderBytes + fields;
}

void append_zip64(std::string& out, const PlacedRecord& record) {
  const std::uint64_t bytes = zip64_bytes(record.header_offset, record.size_bytes);
  if (bytes == 0) return;
  append(out, kZip64Extra);
  append(out, static_cast<std::uint16_t>(bytes - kExtraHeaderBytes));
  if (record.size_bytes >= kFull32) {
    append(out, record.size_bytes);
    append(out, record.size_bytes);
  }
  if (record.header_offset >= kFull32) append(out, record.header_offset);
}

}  // namespace

bool PlacedRecord::is_large() const noexcept {
  return zip64_bytes(header_offset, size_bytes) != 0;
}

std::uint64_t PlacedRecord::end() const noexcept {
  const std::uint64_t descriptor = size_bytes == 0 ? 0 : is_large() ? 24 : 16;
  return data_offset + size_bytes + descriptor;
}

PlacedRecord place_record(std::uint64_t offset, std::string_view name, std::uint64_t size_bytes) {
  if (offset >= kMostBytes || size_bytes >= kMostBytes - offset) {
    throw Error(ErrorCode::Limit, "a file of more than 2^63 bytes");
  }
  const std::uint64_t least = offset + kLocalBytes + name.size() + zip64_bytes(offset, size_bytes) + kExtraHeaderBytes;
  const std::uint64_t data = (least + kAlignment - 1) / kAlignment * kAlignment;
  return {.header_offset = offset, .data_offset = data, .size_bytes = size_bytes};
}

std::uint64_t central_bytes(const PlacedRecord& record, std::string_view name) noexcept {
  return kCentralBytes + name.size() + zip64_bytes(record.header_offset, record.size_bytes);
}

std::uint64_t end_bytes() noexcept {
  return kEnd64Bytes + kLocatorBytes + kEndBytes;
}

void append_local_header(std::string& out, const PlacedRecord& record, std::string_view name) {
  const std::size_t begin = out.size();
  const std::uint64_t bytes = record.data_offset - record.header_offset;
  append(out, kLocalSignature);
  append(out, std::uint16_t{0});  // version
  append(out, flags_of(record));
  append(out, std::uint16_t{0});  // stored
  out.append(4, '\0');            // time and date
  out.append(12, '\0');           // checksum and sizes: in the descriptor
  append(out, static_cast<std::uint16_t>(name.size()));
  append(out, static_cast<std::uint16_t>(bytes - kLocalBytes - name.size()));
  out += name;
  append_zip64(out, record);
  append(out, kPaddingExtra);
  append(out, static_cast<std::uint16_t>(begin + bytes - out.size() - sizeof(std::uint16_t)));
  out.append(static_cast<std::size_t>(begin + bytes - out.size()), kPadding);
}

void append_descriptor(std::string& out, const PlacedRecord& record, std::uint32_t crc) {
  if (record.size_bytes == 0) return;
  append(out, kDescriptorSignature);
  append(out, crc);
  for (int i = 0; i < 2; ++i) {
    if (record.is_large()) {
      append(out, record.size_bytes);
    } else {
      append(out, low(record.size_bytes));
    }
  }
}

void append_central(std::string& out, const PlacedRecord& record, std::string_view name, std::uint32_t crc) {
  append(out, kCentralSignature);
  out.append(4, '\0');  // versions
  append(out, flags_of(record));
  append(out, std::uint16_t{0});  // stored
  out.append(4, '\0');            // time and date
  append(out, crc);
  append(out, low(record.size_bytes));
  append(out, low(record.size_bytes));
  append(out, static_cast<std::uint16_t>(name.size()));
  append(out, static_cast<std::uint16_t>(zip64_bytes(record.header_offset, record.size_bytes)));
  out.append(10, '\0');  // comment, disk, attributes
  append(out, low(record.header_offset));
  out += name;
  append_zip64(out, record);
}

void append_end(std::string& out, std::uint64_t directory_offset, std::uint64_t directory_bytes,
                std::uint64_t records) {
  append(out, kEnd64Signature);
  append(out, static_cast<std::uint64_t>(kEnd64Bytes - 12));
  append(out, kUnixVersion30);
  append(out, kZip64Version);
  out.append(8, '\0');  // disks
  append(out, records);
  append(out, records);
  append(out, directory_bytes);
  append(out, directory_offset);

  append(out, kLocatorSignature);
  append(out, std::uint32_t{0});  // disk
  append(out, directory_offset + directory_bytes);
  append(out, std::uint32_t{1});  // disks

  append(out, kEndSignature);
  out.append(4, '\0');  // disks
  const auto count = static_cast<std::uint16_t>(std::min<std::uint64_t>(records, kFull16));
  append(out, count);
  append(out, count);
  append(out, low(directory_bytes));
  append(out, low(directory_offset));
  append(out, std::uint16_t{0});  // comment
}

}  // namespace mq::formats::zip
