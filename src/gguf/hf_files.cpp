#include "src/gguf/hf_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/io/file.hpp"

namespace mq::gguf {

const json::Value* HfObject::find(std::string_view key) const noexcept {
  const json::Value* const found = value_.find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

void HfObject::refuse(std::string_view key, std::string expected, std::string found) const {
  throw Error({.code = ErrorCode::Usage,
               .message = "the value of " + std::string(key) + " does not fit a GGUF file",
               .file = file_,
               .expected = std::move(expected),
               .found = std::move(found)});
}

void HfObject::missing(std::string_view key) const {
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(key) + " is missing, and a GGUF file of such a model needs it",
               .file = file_});
}

std::optional<std::uint32_t> HfObject::count(std::string_view key) const {
  const json::Value* const found = find(key);
  if (found == nullptr) return std::nullopt;
  const std::int64_t* const whole = found->as_int();
  if (whole == nullptr || *whole < 0 || *whole > std::numeric_limits<std::int32_t>::max()) {
    refuse(key, "a whole number of 0 or more, below 2^31", json::dump(*found, -1));
  }
  return static_cast<std::uint32_t>(*whole);
}

std::uint32_t HfObject::need_count(std::string_view key) const {
  const std::optional<std::uint32_t> found = count(key);
  if (!found) missing(key);
  if (*found == 0) refuse(key, "1 or more", "0");
  return *found;
}

std::optional<float> HfObject::number(std::string_view key) const {
  const json::Value* const found = find(key);
  if (found == nullptr) return std::nullopt;
  const std::int64_t* const whole = found->as_int();
  if (whole == nullptr && found->as_double() == nullptr) refuse(key, "a number", json::dump(*found, -1));
  return static_cast<float>(whole ? static_cast<double>(*whole) : *found->as_double());
}

float HfObject::need_number(std::string_view key) const {
  const std::optional<float> found = number(key);
  if (!found) missing(key);
  return *found;
}

std::optional<std::string> HfObject::text(std::string_view key) const {
  const json::Value* const found = find(key);
  if (found == nullptr) return std::nullopt;
  if (found->as_string() == nullptr) refuse(key, "text", json::dump(*found, -1));
  return *found->as_string();
}

bool HfObject::flag(std::string_view key, bool otherwise) const {
  const json::Value* const found = find(key);
  if (found == nullptr) return otherwise;
  if (found->as_bool() == nullptr) refuse(key, "true or false", json::dump(*found, -1));
  return *found->as_bool();
}

const Asset* HfFiles::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(source_.assets, name, &Asset::name);
  return found == source_.assets.end() ? nullptr : &*found;
}

std::optional<std::string> HfFiles::text(std::string_view name) {
  const Asset* const asset = find(name);
  if (asset == nullptr) return std::nullopt;
  read_.emplace_back(name);
  return io::read_text(asset->path, Limits{}.header_bytes);
}

std::optional<HfObject> HfFiles::object(std::string_view name) {
  const std::optional<std::string> content = text(name);
  if (!content) return std::nullopt;
  return HfObject(json::parse(*content, name), std::string(name));
}

}  // namespace mq::gguf
