// The values of GGUF's key-values, in the form in which a file has them.
//
//   number: little-endian     bool: one byte     string: u64 length, bytes     array: u32 type, u64 count, elements
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::formats {

// In the order of their numbers.
enum class GgufType : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

StoredValue gguf_value(std::string key, std::uint32_t value);
StoredValue gguf_value(std::string key, float value);
StoredValue gguf_value(std::string key, bool value);
StoredValue gguf_value(std::string key, std::string_view value);
StoredValue gguf_value(std::string key, const char* value) = delete;  // would be a bool
StoredValue gguf_value(std::string key, std::span<const std::string> values);
StoredValue gguf_value(std::string key, std::span<const std::int32_t> values);
StoredValue gguf_value(std::string key, std::span<const float> values);

// Null if there is none.
const StoredValue* find_value(std::span<const StoredValue> values, std::string_view key) noexcept;
// Empty if it is of another type.
std::optional<std::uint32_t> as_u32(const StoredValue& value);
std::optional<std::string_view> as_string(const StoredValue& value);

// Every key-value of a file, arrays too. Throws: as read_gguf_header().
std::vector<StoredValue> read_gguf_values(const std::filesystem::path& path, const Limits& limits);

}  // namespace mq::formats
