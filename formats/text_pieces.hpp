// Texts that are written as they are made.
#pragma once

#include <cstdint>

#include "formats/io/file.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// Writes the pieces one after the other from the beginning of an empty file, which grows. Returns their bytes.
// Throws: Io, and what `pieces` throws.
std::uint64_t write_pieces(io::File& file, const TextPieces& pieces);

}  // namespace mq::formats
