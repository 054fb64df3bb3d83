// The texts that lie beside the weights of a Hugging Face model, and what is wanted of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/source.hpp"
#include "src/json.hpp"

namespace mq::gguf {

// A JSON object of a model, with errors that name its file and the key.
class HfObject {
 public:
  HfObject(json::Value value, std::string file) : value_(std::move(value)), file_(std::move(file)) {}

  const json::Value& value() const noexcept { return value_; }
  const std::string& file() const noexcept { return file_; }
  // Null if there is none, or if it is null.
  const json::Value* find(std::string_view key) const noexcept;

  // Throws: Usage for a value of another type or range; the second form also if there is none.
  std::optional<std::uint32_t> count(std::string_view key) const;
  std::uint32_t need_count(std::string_view key) const;
  std::optional<float> number(std::string_view key) const;
  float need_number(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  bool flag(std::string_view key, bool otherwise) const;

  [[noreturn]] void refuse(std::string_view key, std::string expected, std::string found) const;
  [[noreturn]] void missing(std::string_view key) const;

 private:
  json::Value value_;
  std::string file_;
};

// Reads the files that it is asked for, and remembers which those were.
class HfFiles {
 public:
  explicit HfFiles(const Source& source) : source_(source) {}

  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  // Empty if there is no such file. Throws: Io, Limit, Corrupt.
  std::optional<std::string> text(std::string_view name);
  std::optional<HfObject> object(std::string_view name);

  const std::vector<std::string>& read() const noexcept { return read_; }

 private:
  const Asset* find(std::string_view name) const noexcept;

  const Source& source_;
  std::vector<std::string> read_;
};

}  // namespace mq::gguf
