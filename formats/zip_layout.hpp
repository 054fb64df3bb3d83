// The structure of a zip archive that is about to be written: stored records at multiples of 64, with descriptors, as
// PyTorch's own writer lays them out. Its loader may compute where records are instead of looking, so that every byte
// of structure is part of the format. Pure.
//
// Source: PyTorch 2.15, caffe2/serialize/inline_container.cc and miniz as it is built into it; observed in its files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mq::formats::zip {

struct PlacedRecord {
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;
  std::uint64_t size_bytes = 0;

  // Whether sizes or offset do not fit the fields of 32 bits.
  bool is_large() const noexcept;
  std::uint64_t end() const noexcept;  // of the data and what follows it
};

// A record whose local header begins at `offset`. Throws: Limit if it would end beyond 2^63 bytes.
PlacedRecord place_record(std::uint64_t offset, std::string_view name, std::uint64_t size_bytes);

// Bytes of the archive's directory that a record takes, and of what ends it.
std::uint64_t central_bytes(const PlacedRecord& record, std::string_view name) noexcept;
std::uint64_t end_bytes() noexcept;

// From header_offset to data_offset.
void append_local_header(std::string& out, const PlacedRecord& record, std::string_view name);
// From the end of the data to end(). Empty records have none.
void append_descriptor(std::string& out, const PlacedRecord& record, std::uint32_t crc);
void append_central(std::string& out, const PlacedRecord& record, std::string_view name, std::uint32_t crc);
// What follows a directory at directory_offset.
void append_end(std::string& out, std::uint64_t directory_offset, std::uint64_t directory_bytes, std::uint64_t records);

}  // namespace mq::formats::zip
