// The key-values of a GGUF file.
//
//   n x { string key | i32 type | value }     string: u64 length, bytes     array: i32 type of elements, u64 count
//
// Source: ggml-org/ggml, docs/gguf.md, src/gguf.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/header_cursor.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

struct GgufMetadata {
  // Scalars. Numbers of 64 bits without a sign that no std::int64_t holds are text, in decimal.
  Metadata values;
  // Arrays ("tokenizer.ggml.tokens (array of 32000 strings)") and strings that are not UTF-8: read over, not kept.
  std::vector<LeftOut> left_out;
  std::uint32_t alignment = 32;  // of the data of each tensor: general.alignment
};

// Reads `count` key-values. path names the file in errors.
// Throws: Corrupt, Unsupported (arrays of arrays), Limit, Io.
GgufMetadata read_gguf_metadata(HeaderCursor& cursor, std::uint64_t count, const Limits& limits,
                                const std::filesystem::path& path);

// A name or a key: UTF-8 without a zero.
// Throws: Corrupt, Limit, Io.
std::string read_gguf_name(HeaderCursor& cursor, const Limits& limits, const std::filesystem::path& path);

}  // namespace mq::formats
