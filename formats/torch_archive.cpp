#include "formats/torch_archive.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "formats/pickle_text.hpp"
#include "mq/error.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::int64_t kFirstVersion = 1, kLastVersion = 10;
constexpr std::uint64_t kSmallRecordBytes = 256;

constexpr std::string_view kSaveStateDict = "load it in PyTorch and save its state_dict";

}  // namespace

Archive::Archive(io::File file, const Limits& limits) : zip_(std::move(file), limits), limits_(limits) {
  if (zip_.records().empty()) refuse("an empty zip archive", "");
  const std::string& first = zip_.records().front().name;
  prefix_ = first.substr(0, first.find('/') + 1);
  require_torch_save();
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

void Archive::refuse(std::string_view kind, std::string_view hint) const {
  throw Error({.code = ErrorCode::Unsupported,
               .message = std::string(kind) + " is not read",
               .file = zip_.file().path().string(),
               .expected = "a checkpoint written by torch.save",
               .hint = std::string(hint)});
}

void Archive::require_torch_save() const {
  struct Kind {
    std::string_view record;
    std::string_view title;
  };
  constexpr std::array kOthers{
      Kind{"constants.pkl", "a TorchScript archive (torch.jit.save)"},
      Kind{"archive_format", "a torch.export archive (.pt2)"},
      Kind{".data/extern_modules", "a torch.package archive"},
      Kind{".data/python_version", "a torch.package archive"},
  };
  if (zip_.find("serialized_exported_program.json") != nullptr) {
    refuse("a torch.export archive (.pt2) of the format before PyTorch 2.8", kSaveStateDict);
  }
  for (const Kind& kind : kOthers) {
    if (find(kind.record) != nullptr) refuse(kind.title, kSaveStateDict);
  }
  if (!prefix_.empty() && find("data.pkl") != nullptr) return;
  if (find("model.json") != nullptr) refuse("a TorchScript archive of PyTorch 1.0 to 1.3", kSaveStateDict);
  if (std::ranges::any_of(zip_.records(), [](const ZipRecord& record) { return record.name.ends_with(".npy"); })) {
    refuse("a NumPy archive (.npz)", "");
  }
  refuse("a zip archive that is no PyTorch checkpoint", "");
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

std::string Archive::read_pickle() const {
  return zip_.read_text(*find("data.pkl"), limits_.header_bytes);
}

std::string Archive::pickle_source() const {
  return zip_.file().path().string() + ": data.pkl";
}

const ZipRecord* Archive::storage(std::string_view key) const {
  return find("data/" + std::string(key));
}

}  // namespace mq::formats::torch
