#include "formats/gguf_value.hpp"

#include <cstring>

#include "formats/gguf_header.hpp"

namespace mq::formats {
namespace {

template <class T>
void append(std::string& out, T number) {
  const std::size_t at = out.size();
  out.resize(at + sizeof number);
  std::memcpy(out.data() + at, &number, sizeof number);
}

template <>
void append(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

template <>
void append(std::string& out, std::string text) {
  append(out, std::string_view(text));
}

template <class T>
StoredValue make(std::string key, GgufType type, const T& value) {
  StoredValue stored{.key = std::move(key), .type = static_cast<std::uint32_t>(type)};
  append(stored.bytes, value);
  return stored;
}

template <class T>
StoredValue make_array(std::string key, GgufType type, std::span<const T> values) {
  StoredValue stored{.key = std::move(key), .type = static_cast<std::uint32_t>(GgufType::Array)};
  append(stored.bytes, static_cast<std::uint32_t>(type));
  append(stored.bytes, static_cast<std::uint64_t>(values.size()));
  for (const T& value : values) append(stored.bytes, value);
  return stored;
}

}  // namespace

StoredValue gguf_value(std::string key, std::uint32_t value) {
  return make(std::move(key), GgufType::U32, value);
}

StoredValue gguf_value(std::string key, float value) {
  return make(std::move(key), GgufType::F32, value);
}

StoredValue gguf_value(std::string key, bool value) {
  return make(std::move(key), GgufType::Bool, static_cast<std::uint8_t>(value));
}

StoredValue gguf_value(std::string key, std::string_view value) {
  return make(std::move(key), GgufType::String, value);
}

StoredValue gguf_value(std::string key, std::span<const std::string> values) {
  return make_array(std::move(key), GgufType::String, values);
}

StoredValue gguf_value(std::string key, std::span<const std::int32_t> values) {
  return make_array(std::move(key), GgufType::I32, values);
}

StoredValue gguf_value(std::string key, std::span<const float> values) {
  return make_array(std::move(key), GgufType::F32, values);
}

const StoredValue* find_value(std::span<const StoredValue> values, std::string_view key) noexcept {
  for (const StoredValue& value : values) {
    if (value.key == key) return &value;
  }
  return nullptr;
}

std::optional<std::uint32_t> as_u32(const StoredValue& value) {
  std::uint32_t number = 0;
  if (value.type != static_cast<std::uint32_t>(GgufType::U32) || value.bytes.size() != sizeof number) return {};
  std::memcpy(&number, value.bytes.data(), sizeof number);
  return number;
}

std::optional<std::string_view> as_string(const StoredValue& value) {
  constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
  if (value.type != static_cast<std::uint32_t>(GgufType::String) || value.bytes.size() < kLengthBytes) return {};
  return std::string_view(value.bytes).substr(kLengthBytes);
}

std::vector<StoredValue> read_gguf_values(const std::filesystem::path& path, const Limits& limits) {
  const io::File file = io::File::open(path);
  std::vector<StoredValue> values;
  for (GgufExtent& extent : read_gguf_header(file, limits).extents) {
    StoredValue& value = values.emplace_back(StoredValue{.key = std::move(extent.key), .type = extent.type});
    value.bytes.resize(static_cast<std::size_t>(extent.end - extent.begin));
    file.read(extent.begin, std::as_writable_bytes(std::span(value.bytes)));
  }
  file.check_unchanged();
  return values;
}

}  // namespace mq::formats
