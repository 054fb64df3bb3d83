#include "formats/file_writer.hpp"

#include <algorithm>
#include <utility>

#include "formats/file_names.hpp"
#include "formats/io/atomic_output.hpp"
#include "formats/partial_tiles.hpp"
#include "formats/registry.hpp"
#include "formats/text_pieces.hpp"
#include "formats/tiles.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

std::int64_t text_bytes(const Layout& layout) {
  std::int64_t total = 0;
  for (const auto& [name, content] : layout.texts) total += static_cast<std::int64_t>(content.size());
  return total;
}

class FileWriter final : public CheckpointWriter {
 public:
  FileWriter(const fs::path& path, const CreateOptions& options, LayOut lay_out)
      : path_(path),
        lay_out_(lay_out),
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
    for (const std::string& name : layout.later_names) io::AtomicFile(beside(name), text_options());
    FileLayout placed = lay_out_(layout, path_);
    size_bytes_ += static_cast<std::int64_t>(placed.size_bytes);
    const io::File& file =
        output_.create(placed.size_bytes, static_cast<std::uint64_t>(text_bytes(layout) + layout.later_bytes));
    file_ = &file;
    ending_ = std::move(placed.ending);
    write_header(placed, layout.tensors);
    std::string().swap(placed.header);  // of a million tensors: as large as all that is kept of them here
    tiles_.reserve(layout.tensors.size());
    for (std::size_t i = 0; i < layout.tensors.size(); ++i) tiles_.add(layout.tensors[i], file, placed.offsets[i]);
    for (const auto& [name, content] : layout.texts) add_text(name, content);
  }

  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data) override {
    tiles_.write(index, first_row, rows, first_byte, row_bytes, data);
    if (!ending_ || data.empty()) return;
    const auto tile_bytes = static_cast<std::int64_t>(data.size()) / rows;
    auto at = static_cast<std::uint64_t>(first_row * row_bytes + first_byte);
    if (tile_bytes == row_bytes) return ending_->take(index, at, data);
    for (; !data.empty(); data = data.subspan(static_cast<std::size_t>(tile_bytes))) {
      ending_->take(index, at, data.first(static_cast<std::size_t>(tile_bytes)));
      at += static_cast<std::uint64_t>(row_bytes);
    }
  }

  void add_text(std::string_view name, std::string content) override {
    add_text(name, [&](const auto& take) { take(content); });
  }
  void add_text(std::string_view name, const TextPieces& pieces) override {
    auto& text = texts_.emplace_back(std::make_unique<io::AtomicFile>(beside(name), text_options()));
    size_bytes_ += static_cast<std::int64_t>(write_pieces(text->create(0), pieces));
  }

  void complete() override {
    tiles_.require_complete();
    if (ending_) ending_->write(*file_);
    ending_.reset();
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
  io::TargetOptions text_options() const { return {options_.overwrite, options_.inputs}; }

  fs::path beside(std::string_view name) const {
    if (!is_plain_name(name)) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "name of a file beside the output",
                   .file = path_.string(),
                   .expected = "a plain file name",
                   .found = std::string(name)});
    }
    fs::path target = path_;
    target += "." + std::string(name);
    return target;
  }

  // A run that is resumed has what an earlier one wrote of the tensors in the header.
  void write_header(const FileLayout& placed, std::span<const TensorInfo> tensors) const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> inside;  // where tensors begin and end
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::uint64_t begin = placed.offsets[i];
      if (begin < placed.header.size()) {
        inside.emplace_back(begin, begin + static_cast<std::uint64_t>(tensors[i].size_bytes()));
      }
    }
    std::ranges::sort(inside);
    inside.emplace_back(placed.header.size(), placed.header.size());
    const auto bytes = std::as_bytes(std::span(placed.header));
    std::uint64_t at = 0;
    for (const auto& [begin, end] : inside) {
      file_->write(at, bytes.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(begin - at)));
      at = end;
    }
  }

  fs::path path_;
  LayOut lay_out_;
  CreateOptions options_;
  TileWriter tiles_;
  std::unique_ptr<PartialTiles> partial_;
  io::AtomicFile output_;
  const io::File* file_ = nullptr;  // of output_, from begin on
  std::unique_ptr<FileEnding> ending_;
  std::vector<std::unique_ptr<io::AtomicFile>> texts_;
  std::int64_t size_bytes_ = 0;
};

}  // namespace

std::unique_ptr<CheckpointWriter> make_file_writer(const fs::path& path, const CreateOptions& options, LayOut lay_out) {
  return std::make_unique<FileWriter>(path, options, lay_out);
}

std::int64_t file_bytes(const Layout& layout, LayOut lay_out) {
  return static_cast<std::int64_t>(lay_out(layout, {}).size_bytes) + text_bytes(layout);
}

}  // namespace mq::formats
