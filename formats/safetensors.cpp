// The safetensors container as a Checkpoint and as a CheckpointWriter of one file.
#include <vector>

#include "formats/file_writer.hpp"
#include "formats/registry.hpp"
#include "formats/safetensors_header.hpp"
#include "formats/safetensors_layout.hpp"
#include "formats/tiles.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

class SafetensorsCheckpoint final : public Checkpoint {
 public:
  SafetensorsCheckpoint(const fs::path& path, const Limits& limits)
      : path_(path), file_(io::File::open(path)), header_(read_safetensors_header(file_, limits)) {}

  std::string_view format() const noexcept override { return kSafetensors.name; }
  const fs::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return header_.tensors; }
  const Metadata& metadata() const noexcept override { return header_.metadata; }
  void check_unchanged() const override { file_.check_unchanged(); }

  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    require_index(index, header_.tensors.size());
    const std::uint64_t begin = require_range(header_.tensors[index], first, count, out.size());
    file_.read(header_.offsets[index] + begin, out);
    file_.check_unchanged();
  }

 private:
  fs::path path_;
  io::File file_;
  SafetensorsHeader header_;
};

FileLayout lay_out(const Layout& layout, const fs::path& path) {
  std::vector<const TensorInfo*> tensors;
  tensors.reserve(layout.tensors.size());
  for (const TensorInfo& tensor : layout.tensors) tensors.push_back(&tensor);
  return lay_out_safetensors(tensors, layout.metadata, layout.limits, path);
}

bool matches(const fs::path& path) {
  return io::is_file(path) && looks_like_safetensors(io::File::open(path));
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  refuse_root(path, options);
  return std::make_unique<SafetensorsCheckpoint>(path, options.limits);
}

std::unique_ptr<CheckpointWriter> create(const fs::path& path, const CreateOptions& options) {
  return make_file_writer(path, options, lay_out);
}

}  // namespace

const Format kSafetensors{.name = "safetensors",
                          .title = "safetensors file",
                          .suffix = ".safetensors",
                          .matches = matches,
                          .open = open,
                          .create = create,
                          .size_bytes = [](const Layout& layout) { return file_bytes(layout, lay_out); }};

}  // namespace mq::formats
