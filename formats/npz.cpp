// An .npz file: a zip archive of NumPy's arrays, stored or deflated, read only. A tensor is called as its record is,
// without ".npy".
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/limits.hpp"
#include "formats/npy_array.hpp"
#include "formats/registry.hpp"
#include "formats/zip_format.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".npy";

struct Owner {
  explicit Owner(ZipArchive archive) : zip(std::move(archive)), checksums(zip) {}

  ZipArchive zip;
  RecordChecksums checksums;
  std::deque<RecordBlob> records;  // which stay where they are
};

bool matches(const ZipArchive& archive) {
  return std::ranges::any_of(archive.records(), [](const ZipRecord& record) { return record.name.ends_with(kSuffix); });
}

bool is_array(const RecordBlob& record) {
  std::array<std::byte, kNpyMagicBytes> first{};
  if (record.size_bytes() < first.size()) return false;
  record.read_scattered(0, first);
  return begins_npy(first);
}

std::string name_of(const ZipRecord& record, const std::string& source, const Limits& limits) {
  std::string name = record.name;
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  if (name.size() > limits.name_bytes) {
    refuse_limit(limits, &Limits::name_bytes,
                 {.message = "bytes of a name", .file = source, .found = std::to_string(name.size())});
  }
  if (name.empty()) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "an array without a name",
                 .file = source,
                 .offset = record.header_offset});
  }
  return name;
}

void require_unique(const BlobContents& contents, const fs::path& path) {
  std::vector<std::string_view> names;
  for (const TensorInfo& tensor : contents.tensors) names.emplace_back(tensor.name);
  const auto twice = find_duplicate(std::move(names));
  if (!twice) return;
  throw Error({.code = ErrorCode::Corrupt,
               .message = "two arrays of one name",
               .file = path.string(),
               .tensor = std::string(*twice),
               .found = std::string(*twice) + " and " + std::string(*twice) + std::string(kSuffix)});
}

std::unique_ptr<Checkpoint> open(const fs::path& path, ZipArchive archive, const OpenOptions& options) {
  refuse_root(path, options);
  const auto npz = std::make_shared<Owner>(std::move(archive));
  BlobContents contents{.owner = npz, .file = &npz->zip.file()};
  std::size_t others = 0;
  for (const ZipRecord& record : npz->zip.records()) {
    const RecordBlob& blob = npz->records.emplace_back(npz->zip, record, npz->checksums);
    const std::string source = npz->zip.where(record);
    if (is_array(blob)) {
      add_npy_array(contents, name_of(record, source, options.limits), blob, source, options.limits);
    } else if (record.name.ends_with(kSuffix)) {
      throw Error({.code = ErrorCode::Corrupt, .message = "not an array of NumPy", .file = source});
    } else if (++others <= kMaxLeftOut) {
      contents.left_out.push_back(
          {.what = record.name + " (not an array)", .size_bytes = static_cast<std::int64_t>(record.size_bytes)});
    }
  }
  if (others > kMaxLeftOut) {
    contents.left_out.push_back({.what = std::to_string(others - kMaxLeftOut) + " more records that are no arrays"});
  }
  require_unique(contents, path);
  return make_blob_checkpoint(kNpz.name, path, std::move(contents));
}

}  // namespace

const ZipFormat kNpz{.name = "npz", .title = "NumPy archive", .matches = matches, .open = open};

}  // namespace mq::formats
