// The parts of a zip archive's structure, as zip.cpp puts them together.
#pragma once

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
