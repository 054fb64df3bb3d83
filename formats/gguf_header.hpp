// The header of a GGUF file, versions 2 and 3. Its strict reading.
//
//   "GGUF" | u32 version | u64 tensors | u64 key-values | key-values (gguf_metadata.hpp)
//   tensors x { string name | u32 rank | u64 size[rank], the one of adjacent elements first | i32 type | u64 offset }
//   zeros to a multiple of the alignment | data of the tensors, each with zeros to a multiple of the alignment
//
// Offsets count from the beginning of the data and leave no gap but that padding.
// Source: ggml-org/ggml, docs/gguf.md, src/gguf.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "formats/gguf_metadata.hpp"
#include "formats/io/file.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

inline constexpr std::array<char, 4> kGgufMagic{'G', 'G', 'U', 'F'};
inline constexpr std::uint32_t kGgufVersion = 3;  // the one that is written
inline constexpr std::uint32_t kMaxGgufRank = 4;
inline constexpr std::size_t kMaxGgufNameBytes = 63;  // ggml keeps names in 64 bytes with a zero at the end

struct GgufHeader {
  std::vector<TensorInfo> tensors;     // in the order of the file; shapes are row-major
  std::vector<std::uint64_t> offsets;  // of each tensor's first byte in the file
  Metadata metadata;
  std::vector<LeftOut> left_out;
  std::vector<GgufExtent> extents;  // of all key-values
};

// Whether the file begins like a GGUF file, be the rest right or wrong.
bool looks_like_gguf(const io::File& file);

// Throws: Corrupt, Unsupported (versions, byte orders and types that are not read), Limit, Io.
GgufHeader read_gguf_header(const io::File& file, const Limits& limits);

}  // namespace mq::formats
