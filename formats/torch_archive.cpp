#include "formats/torch_archive.hpp"

#include <optional>
#include <utility>

#include "formats/pickle_text.hpp"
#include "formats/zip_format.hpp"
#include "mq/error.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::int64_t kFirstVersion = 1, kLastVersion = 10;
constexpr std::uint64_t kSmallRecordBytes = 256;

}  // namespace

Archive::Archive(ZipArchive zip) : zip_(std::move(zip)), checksums_(zip_), prefix_(root_folder(zip_)) {
  for (const ZipRecord& record : zip_.records()) {
    if (record.name.starts_with(prefix_)) continue;
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "record outside the folder of the archive",
                 .file = zip_.file().path().string(),
                 .offset = record.header_offset,
                 .expected = prefix_ + "...",
                 .found = record.name});
  }
  require_version();
  read_byte_order();
}

const ZipRecord* Archive::find(std::string_view name) const {
  return zip_.find(prefix_ + std::string(name));
}

std::string Archive::source(std::string_view name) const {
  return zip_.file().path().string() + ": " + std::string(name);
}

std::string Archive::read_small(std::string_view name) const {
  const ZipRecord* record = find(name);
  if (record == nullptr) return {};
  std::string text = zip_.read_text(*record, kSmallRecordBytes);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void Archive::require_version() const {
  const bool moved = find(".data/version") != nullptr;
  const std::string text = read_small(moved ? ".data/version" : "version");
  const std::optional<std::int64_t> version = pickle::decimal_value(text);
  if (version && *version >= kFirstVersion && *version <= kLastVersion) return;
  throw Error({.code = version ? ErrorCode::Unsupported : ErrorCode::Corrupt,
               .message = "version of the archive",
               .file = zip_.file().path().string() + ": " + prefix_ + (moved ? ".data/version" : "version"),
               .expected = std::to_string(kFirstVersion) + " to " + std::to_string(kLastVersion),
               .found = text.empty() ? "none" : text});
}

void Archive::read_byte_order() {
  const std::string order = read_small("byteorder");
  if (order != "big" && order != "little" && find("byteorder") != nullptr) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "byte order of the archive",
                 .file = zip_.file().path().string() + ": " + prefix_ + "byteorder",
                 .expected = "little or big",
                 .found = order});
  }
  big_endian_ = order == "big";
}

const Blob* RecordBacking::storage(std::string_view key) {
  const auto [known, is_new] = known_.emplace(std::string(key), nullptr);
  if (!is_new) return known->second;
  const ZipRecord* record = archive_.find(folder_ + std::string(key));
  if (record == nullptr) return nullptr;
  return known->second = &blobs_.emplace_back(archive_.zip(), *record, archive_.checksums());
}

}  // namespace mq::formats::torch
