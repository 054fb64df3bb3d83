// open_checkpoint and create_checkpoint over the list of formats.
#include <string>
#include <utility>

#include "formats/registry.hpp"
#include "formats/renamed.hpp"
#include "formats/sniff.hpp"
#include "mq/checkpoint.hpp"
#include "mq/error.hpp"

namespace mq {
namespace formats {
namespace {

std::unique_ptr<Checkpoint> open_as(const Format& format, const std::filesystem::path& path,
                                    const OpenOptions& options) {
  if (format.matches == nullptr || !format.matches(path)) return nullptr;
  return format.open(path, options);
}

}  // namespace

std::unique_ptr<Checkpoint> open_single_file(const std::filesystem::path& path, const OpenOptions& options) {
  require_exists(path);
  for (const Format* format : all_formats()) {
    if (format->suffix.empty()) continue;
    if (auto checkpoint = open_as(*format, path, options)) return checkpoint;
  }
  throw_unrecognised(path);
}

}  // namespace formats

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path, const OpenOptions& options) {
  formats::require_exists(path);
  for (const formats::Format* format : formats::all_formats()) {
    if (auto checkpoint = formats::open_as(*format, path, options)) {
      return formats::renamed(std::move(checkpoint), options);
    }
  }
  formats::throw_unrecognised(path);
}

namespace {

const formats::Format& writable_format(std::string_view format) {
  std::string writable;
  for (const formats::Format* candidate : formats::all_formats()) {
    if (candidate->create == nullptr) continue;
    if (candidate->name == format) return *candidate;
    writable += (writable.empty() ? "" : ", ") + std::string(candidate->name);
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "not a format that can be written",
               .expected = writable,
               .found = std::string(format)});
}

}  // namespace

std::unique_ptr<CheckpointWriter> create_checkpoint(const std::filesystem::path& path, std::string_view format,
                                                    const CreateOptions& options) {
  return writable_format(format).create(path, options);
}

std::int64_t layout_size_bytes(const Layout& layout, std::string_view format) {
  return writable_format(format).size_bytes(layout);
}

}  // namespace mq
