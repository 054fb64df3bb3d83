// The GGUF container of llama.cpp as a Checkpoint and as a CheckpointWriter. It delivers and takes blocks as they are
// stored; codecs decode and make them.
#include "formats/file_writer.hpp"
#include "formats/gguf_header.hpp"
#include "formats/gguf_layout.hpp"
#include "formats/registry.hpp"
#include "formats/tiles.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

class GgufCheckpoint final : public Checkpoint {
 public:
  GgufCheckpoint(const fs::path& path, const Limits& limits)
      : path_(path), file_(io::File::open(path)), header_(read_gguf_header(file_, limits)) {}

  std::string_view format() const noexcept override { return kGguf.name; }
  const fs::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return header_.tensors; }
  const Metadata& metadata() const noexcept override { return header_.metadata; }
  std::span<const LeftOut> left_out() const noexcept override { return header_.left_out; }

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
  GgufHeader header_;
};

bool matches(const fs::path& path) {
  return io::is_file(path) && looks_like_gguf(io::File::open(path));
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  refuse_root(path, options);
  return std::make_unique<GgufCheckpoint>(path, options.limits);
}

std::unique_ptr<CheckpointWriter> create(const fs::path& path, const CreateOptions& options) {
  return make_file_writer(path, options, lay_out_gguf);
}

}  // namespace

const Format kGguf{.name = "gguf",
                   .title = "GGUF file",
                   .suffix = ".gguf",
                   .matches = matches,
                   .open = open,
                   .create = create,
                   .size_bytes = [](const Layout& layout) { return file_bytes(layout, lay_out_gguf); }};

}  // namespace mq::formats
