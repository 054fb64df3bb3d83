// A container format: how it is recognised, opened and written. One .cpp per format ends in one `const Format`.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "mq/checkpoint.hpp"

namespace mq::formats {

struct Format {
  std::string_view name;    // "safetensors"
  std::string_view title;   // for people: "safetensors file"
  std::string_view suffix;  // of files written without an explicit format (".safetensors"); empty for directories

  // Whether this path is of this format, judged by content. Null if the format cannot be read.
  // Throws: Unsupported for content that this format knows and refuses by name.
  bool (*matches)(const std::filesystem::path& path);
  std::unique_ptr<Checkpoint> (*open)(const std::filesystem::path& path, const OpenOptions& options);
  // Null if the format cannot be written.
  std::unique_ptr<CheckpointWriter> (*create)(const std::filesystem::path& path, const CreateOptions& options);
  // What size_bytes() of such a writer says after begin. Null if the format cannot be written.
  std::int64_t (*size_bytes)(const Layout& layout) = nullptr;
};

// Every format, in the order in which matches() is asked.
std::span<const Format* const> all_formats() noexcept;

}  // namespace mq::formats
