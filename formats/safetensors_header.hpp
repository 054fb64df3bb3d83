// The header of a safetensors file: u64 length | JSON | data. Its strict reading.
// Source: huggingface/safetensors, safetensors/src/tensor.rs.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;     // in the order of the JSON
  std::vector<std::uint64_t> offsets;  // of each tensor's first byte in the file
  Metadata metadata;                   // strings only
};

// Whether the file begins like a safetensors file, be the rest right or wrong.
bool looks_like_safetensors(const io::File& file);

// Reads the header and checks that the tensors cover the data exactly, each byte once.
// Throws: Corrupt, Limit, Io.
SafetensorsHeader read_safetensors_header(const io::File& file, const Limits& limits);

}  // namespace mq::formats
