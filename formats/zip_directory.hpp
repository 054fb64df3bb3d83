// The parts of a zip archive's structure, as zip.cpp puts them together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/io/file.hpp"
#include "formats/zip.hpp"

namespace mq::formats::zip {

inline constexpr std::uint16_t kEncrypted = 1 << 0;
inline constexpr std::uint16_t kDescriptor = 1 << 3;  // sizes and checksum follow the data
inline constexpr std::uint16_t kPatched = 1 << 5;
inline constexpr std::uint16_t kStronglyEncrypted = 1 << 6;
inline constexpr std::uint16_t kMasked = 1 << 13;

inline constexpr std::uint16_t kUtf8Name = 1 << 11;

inline constexpr std::uint32_t kLocalSignature = 0x04034b50;
inline constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
inline constexpr std::uint32_t kCentralSignature = 0x02014b50;
inline constexpr std::uint32_t kEnd64Signature = 0x06064b50;
inline constexpr std::uint32_t kLocatorSignature = 0x07064b50;
inline constexpr std::uint32_t kEndSignature = 0x06054b50;
inline constexpr std::uint16_t kZip64Extra = 0x0001;

// Sizes of these structures without names and extra fields.
inline constexpr std::size_t kLocalBytes = 30;
inline constexpr std::size_t kCentralBytes = 46;
inline constexpr std::size_t kEnd64Bytes = 56;
inline constexpr std::size_t kLocatorBytes = 20;
inline constexpr std::size_t kEndBytes = 22;

inline constexpr std::uint32_t kFull32 = 0xffffffff;  // the value stands in a zip64 field
inline constexpr std::uint16_t kFull16 = 0xffff;

// Where the central directory is.
struct DirectoryRange {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t entries = 0;
};

// One record with what only its checks need.
struct Entry {
  ZipRecord record;
  std::uint16_t flags = 0;
};

// Finds the end of the central directory, which must be the end of the file, and what it says.
DirectoryRange find_directory(const io::File& file);

// The entries of the central directory, in its order. data_offset is not known yet.
std::vector<Entry> read_directory(const io::File& file, const DirectoryRange& range, const Limits& limits);

// Compares the local header and the descriptor of every entry with the entry, sets data_offset and checks that the
// records lie before the directory without overlap.
void check_local_headers(const io::File& file, const DirectoryRange& range, std::vector<Entry>& entries);

}  // namespace mq::formats::zip
