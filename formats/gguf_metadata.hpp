// The key-values of a GGUF file.
//
//   n x { string key | i32 type | value }     string: u64 length, bytes     array: i32 type of elements, u64 count
//
// Source: ggml-org/ggml, docs/gguf.md, src/gguf.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/header_cursor.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::uint32_t kGgufAlignment = 32;  // where the file does not say
inline constexpr std::uint32_t kMaxGgufAlignment = 1 << 20;

// Where a value lies in the file.
struct GgufExtent {
  std::string key;
  std::uint32_t type = 0;
  std::uint64_t begin = 0, end = 0;
};

struct GgufMetadata {
  // Scalars. Numbers of 64 bits without a sign that no std::int64_t holds are text, in decimal.
  Metadata values;
  // Arrays ("tokenizer.ggml.tokens (array of 32000 strings)") and strings that are not UTF-8: read over, not kept.
  std::vector<LeftOut> left_out;
  std::uint32_t alignment = kGgufAlignment;  // of the data of each tensor
  std::vector<GgufExtent> extents;
};

// Reads `count` key-values. path names the file in errors.
// Throws: Corrupt, Unsupported (arrays of arrays), Limit, Io.
GgufMetadata read_gguf_metadata(HeaderCursor& cursor, std::uint64_t count, const Limits& limits,
                                const std::filesystem::path& path);

// A name or a key: UTF-8 without a zero.
// Throws: Corrupt, Limit, Io.
std::string read_gguf_name(HeaderCursor& cursor, const Limits& limits, const std::filesystem::path& path);

}  // namespace mq::formats
