// GGUF files put together field by field, right or wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mq::test {

// The bytes of a number, and of a string as GGUF stores it.
template <class T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
inline std::string gguf_string(std::string_view text) {
  return raw<std::uint64_t>(text.size()).append(text);
}

struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> ne;  // the size of adjacent elements first
  std::int32_t type = 0;
  std::string data;
  std::optional<std::uint64_t> offset = {};  // instead of the right one
  std::optional<std::uint32_t> rank = {};    // instead of the number of sizes
};

struct GgufBuilder {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::int64_t> tensor_count = {}, value_count = {};  // instead of the right ones
  std::uint64_t alignment = 32;                                     // of the data; not written as a key-value
  bool final_padding = true;
  std::vector<std::string> values = {};  // encoded: key, type, value
  std::vector<GgufTensor> tensors = {};

  GgufBuilder& value(std::string_view key, std::uint32_t type, std::string_view bytes) {
    values.push_back(gguf_string(key) + raw(type) + std::string(bytes));
    return *this;
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t number) { return value(key, 4, raw(number)); }
  GgufBuilder& text(std::string_view key, std::string_view content) { return value(key, 8, gguf_string(content)); }
  GgufBuilder& array(std::string_view key, std::uint32_t type, std::uint64_t count, std::string_view elements) {
    return value(key, 9, raw(type) + raw(count) + std::string(elements));
  }
  GgufBuilder& tensor(std::string name, std::vector<std::int64_t> ne, std::int32_t type, std::string data) {
    tensors.push_back({.name = std::move(name), .ne = std::move(ne), .type = type, .data = std::move(data)});
    return *this;
  }

  std::string header() const {
    std::string out = magic + raw(version) + raw(tensor_count.value_or(static_cast<std::int64_t>(tensors.size()))) +
                      raw(value_count.value_or(static_cast<std::int64_t>(values.size())));
    for (const std::string& entry : values) out += entry;
    std::uint64_t offset = 0;
    for (const GgufTensor& t : tensors) {
      out += gguf_string(t.name) + raw(t.rank.value_or(static_cast<std::uint32_t>(t.ne.size())));
      for (const std::int64_t size : t.ne) out += raw(size);
      out += raw(t.type) + raw(t.offset.value_or(offset));
      offset += padded(t.data.size());
    }
    return out;
  }

  std::string bytes() const {
    std::string out = header();
    for (const GgufTensor& t : tensors) {
      out.resize(padded(out.size()));
      out += t.data;
    }
    if (final_padding && !tensors.empty()) out.resize(padded(out.size()));
    return out;
  }

 private:
  std::uint64_t padded(std::uint64_t size) const { return (size + alignment - 1) / alignment * alignment; }
};

}  // namespace mq::test
