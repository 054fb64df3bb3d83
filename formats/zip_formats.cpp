// The zip container: what opens an archive is decided by its records.
#include <array>
#include <string>
#include <utility>

#include "formats/registry.hpp"
#include "formats/zip_format.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

// What else people have in zip archives.
struct Other {
  std::string_view record;  // in the root folder
  std::string_view title;
  std::string_view hint;
};
constexpr std::array kOthers{
    Other{".data/extern_modules", "a torch.package archive", "load it in PyTorch and save its state_dict"},
    Other{".data/python_version", "a torch.package archive", "load it in PyTorch and save its state_dict"},
    Other{"model.json", "a TorchScript archive of PyTorch 1.0 to 1.3", "load it in PyTorch and save its state_dict"},
};

[[noreturn]] void refuse(const fs::path& path, std::string_view kind, std::string_view hint) {
  std::string expected;
  for (const ZipFormat* format : zip_formats()) {
    expected += (expected.empty() ? "" : ", ") + std::string(format->title);
  }
  throw Error({.code = ErrorCode::Unsupported,
               .message = std::string(kind) + " is not read",
               .file = path.string(),
               .expected = std::move(expected),
               .hint = std::string(hint)});
}

bool matches(const fs::path& path) {
  if (!fs::is_regular_file(path)) return false;
  const io::File file = io::File::open(path);
  std::array<std::byte, 4> first{};
  if (file.size() < first.size()) return false;
  file.read(0, first);
  return ZipArchive::begins(first);
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  ZipArchive archive(io::File::open(path), options.limits, options.verify_checksums);
  for (const ZipFormat* format : zip_formats()) {
    if (format->matches(archive)) return format->open(path, std::move(archive), options);
  }
  for (const Other& other : kOthers) {
    if (find_in_root(archive, other.record) != nullptr) refuse(path, other.title, other.hint);
  }
  refuse(path, archive.records().empty() ? "an empty zip archive" : "a zip archive that is no PyTorch checkpoint", "");
}

}  // namespace

std::span<const ZipFormat* const> zip_formats() noexcept {
  static constexpr std::array<const ZipFormat*, 4> kFormats{&kTorchScript, &kTorchExport, &kTorchSave, &kNpz};
  return kFormats;
}

std::string_view root_folder(const ZipArchive& archive) noexcept {
  if (archive.records().empty()) return {};
  const std::string_view first = archive.records().front().name;
  return first.substr(0, first.find('/') + 1);
}

const ZipRecord* find_in_root(const ZipArchive& archive, std::string_view name) {
  return archive.find(std::string(root_folder(archive)).append(name));
}

const Format kZip{.name = "zip",
                  .title = "PyTorch checkpoint or NumPy archive",
                  .suffix = ".pt",
                  .matches = matches,
                  .open = open,
                  .create = nullptr};

}  // namespace mq::formats
