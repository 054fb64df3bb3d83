// The safetensors container as a Checkpoint and as a CheckpointWriter of one file.
#include <string>

#include "formats/file_names.hpp"
#include "formats/io/atomic_output.hpp"
#include "formats/partial_tiles.hpp"
#include "formats/registry.hpp"
#include "formats/safetensors_header.hpp"
#include "formats/safetensors_layout.hpp"
#include "formats/text_pieces.hpp"
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

SafetensorsLayout lay_out(const Layout& layout, const fs::path& path) {
  std::vector<const TensorInfo*> tensors;
  tensors.reserve(layout.tensors.size());
  for (const TensorInfo& tensor : layout.tensors) tensors.push_back(&tensor);
  return lay_out_safetensors(tensors, layout.metadata, layout.limits, path);
}

std::int64_t text_bytes(const Layout& layout) {
  std::int64_t total = 0;
  for (const auto& [name, content] : layout.texts) total += static_cast<std::int64_t>(content.size());
  return total;
}

std::int64_t layout_bytes(const Layout& layout) {
  return static_cast<std::int64_t>(lay_out(layout, {}).size_bytes) + text_bytes(layout);
}

class SafetensorsWriter final : public CheckpointWriter {
 public:
  SafetensorsWriter(const fs::path& path, const CreateOptions& options)
      : path_(path),
        options_(options),
        partial_(make_partial(path, options, tiles_)),
        output_(path, {options.overwrite, options_.inputs, partial_ ? &partial_->folder() : nullptr}) {}

  void begin(const Layout& layout) override {
    if (!layout.copies.empty()) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "one file cannot have copies of others beside it",
                   .file = path_.string(),
                   .found = layout.copies.front().name,
                   .hint = "write a directory: " + std::string(kHfSafetensors.name)});
    }
    SafetensorsLayout placed = lay_out(layout, path_);
    size_bytes_ += static_cast<std::int64_t>(placed.size_bytes);
    const io::File& file =
        output_.create(placed.size_bytes, static_cast<std::uint64_t>(text_bytes(layout) + layout.later_bytes));
    file.write(0, std::as_bytes(std::span(placed.header)));
    std::string().swap(placed.header);  // of a million tensors: as large as all that is kept of them here
    tiles_.reserve(layout.tensors.size());
    for (std::size_t i = 0; i < layout.tensors.size(); ++i) tiles_.add(layout.tensors[i], file, placed.offsets[i]);
    for (const auto& [name, content] : layout.texts) add_text(name, content);
  }

  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data) override {
    tiles_.write(index, first_row, rows, first_byte, row_bytes, data);
  }

  void add_text(std::string_view name, std::string content) override {
    add_text(name, [&](const auto& take) { take(content); });
  }
  void add_text(std::string_view name, const TextPieces& pieces) override {
    if (!is_plain_name(name)) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "name of a file beside the output",
                   .file = path_.string(),
                   .expected = "a plain file name",
                   .found = std::string(name)});
    }
    fs::path target = path_;
    target += "." + std::string(name);
    auto& text = texts_.emplace_back(
        std::make_unique<io::AtomicFile>(target, io::TargetOptions{options_.overwrite, options_.inputs}));
    size_bytes_ += static_cast<std::int64_t>(write_pieces(text->create(0), pieces));
  }

  void complete() override {
    tiles_.require_complete();
    output_.complete(options_.sync);
    for (const auto& text : texts_) text->complete(options_.sync);
  }

  void finish() override {
    complete();
    io::publish_together(output_, texts_, options_.sync);
    if (partial_) partial_->folder().remove();
  }

  PartialOutput* partial() noexcept override { return partial_.get(); }

  std::int64_t size_bytes() const noexcept override { return size_bytes_; }

 private:
  fs::path path_;
  CreateOptions options_;
  TileWriter tiles_;
  std::unique_ptr<PartialTiles> partial_;
  io::AtomicFile output_;
  std::vector<std::unique_ptr<io::AtomicFile>> texts_;
  std::int64_t size_bytes_ = 0;
};

bool matches(const fs::path& path) {
  return io::is_file(path) && looks_like_safetensors(io::File::open(path));
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  refuse_root(path, options);
  return std::make_unique<SafetensorsCheckpoint>(path, options.limits);
}

std::unique_ptr<CheckpointWriter> create(const fs::path& path, const CreateOptions& options) {
  return std::make_unique<SafetensorsWriter>(path, options);
}

}  // namespace

const Format kSafetensors{.name = "safetensors",
                          .title = "safetensors file",
                          .suffix = ".safetensors",
                          .matches = matches,
                          .open = open,
                          .create = create,
                          .size_bytes = layout_bytes};

}  // namespace mq::formats
