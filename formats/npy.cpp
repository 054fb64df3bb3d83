// A .npy file: one array of NumPy, read only. Its tensor is called "array".
#include <array>

#include "formats/npy_array.hpp"
#include "formats/registry.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

struct NpyFile {
  explicit NpyFile(const fs::path& path) : file(io::File::open(path)), whole(file, 0, file.size()) {}

  io::File file;
  FileBlob whole;
};

bool matches(const fs::path& path) {
  if (!io::is_file(path)) return false;
  const io::File file = io::File::open(path);
  std::array<std::byte, kNpyMagicBytes> first{};
  if (file.size() < first.size()) return false;
  file.read(0, first);
  return begins_npy(first);
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  refuse_root(path, options);
  auto npy = std::make_shared<NpyFile>(path);
  BlobContents contents{.owner = npy, .file = &npy->file};
  add_npy_array(contents, "array", npy->whole, path.string(), options.limits);
  return make_blob_checkpoint(kNpy.name, path, std::move(contents));
}

}  // namespace

const Format kNpy{
    .name = "npy", .title = "NumPy array", .suffix = ".npy", .matches = matches, .open = open, .create = nullptr};

}  // namespace mq::formats
