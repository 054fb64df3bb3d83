// Checkpoints for tests: written from a list of tensors, read back whole.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::test {

struct NamedBytes {
  TensorInfo tensor;
  std::string bytes;

  bool operator==(const NamedBytes&) const = default;
};

// A tensor whose bytes depend on its name.
inline NamedBytes sample(std::string name, DType dtype, Shape shape, std::string file = {}) {
  NamedBytes made{
      .tensor = {.name = std::move(name), .dtype = dtype, .shape = std::move(shape), .file = std::move(file)},
      .bytes = {}};
  std::uint32_t state = 1;
  for (const char c : made.tensor.name) state = state * 31 + static_cast<unsigned char>(c);
  made.bytes.resize(static_cast<std::size_t>(made.tensor.size_bytes()));
  for (char& byte : made.bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(dtype == DType::Bool ? state >> 31 : state >> 24);
  }
  return made;
}

inline Layout layout_of(const std::vector<NamedBytes>& tensors, Metadata metadata = {}) {
  Layout layout{.metadata = std::move(metadata)};
  for (const NamedBytes& entry : tensors) layout.tensors.push_back(entry.tensor);
  return layout;
}

// Writes every tensor whole.
inline void write_all(CheckpointWriter& writer, const std::vector<NamedBytes>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto bytes = std::as_bytes(std::span(tensors[i].bytes));
    writer.write(i, 0, 1, 0, static_cast<std::int64_t>(bytes.size()), bytes);
  }
}

inline void write_checkpoint(const std::filesystem::path& path, std::string_view format,
                             const std::vector<NamedBytes>& tensors, Metadata metadata = {},
                             const CreateOptions& options = {}) {
  const auto writer = create_checkpoint(path, format, options);
  writer->begin(layout_of(tensors, std::move(metadata)));
  write_all(*writer, tensors);
  writer->finish();
}

inline std::string bytes_of_tensor(const Checkpoint& checkpoint, std::size_t index) {
  const Tensor tensor = checkpoint.read(index);
  return {reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size()};
}

// All tensors, in the order of their names.
inline std::vector<NamedBytes> read_checkpoint(const Checkpoint& checkpoint) {
  std::vector<NamedBytes> tensors;
  for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    tensors.push_back({checkpoint.tensors()[i], bytes_of_tensor(checkpoint, i)});
  }
  std::ranges::sort(tensors, {}, [](const NamedBytes& entry) { return entry.tensor.name; });
  return tensors;
}

// The bytes of a safetensors file with this JSON and data.
inline std::string safetensors_bytes(std::string_view json, std::string_view data = {}) {
  const std::uint64_t length = json.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += json;
  bytes += data;
  return bytes;
}

}  // namespace mq::test
