// Pickles that follow each other in a file: nothing but reading one says where it ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/io/file.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

struct PickleRange {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

// The pickle that begins at offset. Reads no more of the file than a small multiple of it.
// Throws: as pickle::parse; Corrupt if the file ends first.
PickleRange find_pickle(const io::File& file, std::uint64_t offset, const std::string& source, const Limits& limits);

std::string read_pickle_text(const io::File& file, const PickleRange& range);

}  // namespace mq::formats
