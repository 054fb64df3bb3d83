#include "mq/memory.hpp"

#include <cstring>

#include "formats/duplicates.hpp"
#include "formats/tiles.hpp"

namespace mq {
namespace {

using formats::require_index;
using formats::require_range;
using formats::TileWriter;

class MemoryCheckpoint final : public Checkpoint {
 public:
  MemoryCheckpoint(std::vector<NamedTensor> tensors, Metadata metadata, const std::filesystem::path& path)
      : tensors_(std::move(tensors)), metadata_(std::move(metadata)), path_(path) {
    std::vector<std::string_view> names;
    for (const NamedTensor& named : tensors_) {
      const Tensor& tensor = named.tensor;
      infos_.push_back({.name = named.name, .dtype = tensor.dtype(), .shape = tensor.shape()});
      names.emplace_back(named.name);
    }
    if (const auto twice = formats::find_duplicate(std::move(names))) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "tensor name twice",
                   .file = path_.string(),
                   .tensor = std::string(*twice)});
    }
  }

  std::string_view format() const noexcept override { return "memory"; }
  const std::filesystem::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  std::vector<std::filesystem::path> files() const override { return {}; }

  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    const TensorInfo& info = infos_[require_index(index, infos_.size())];
    const std::uint64_t begin = require_range(info, first, count, out.size());
    if (!out.empty()) std::memcpy(out.data(), tensors_[index].tensor.bytes().data() + begin, out.size());
  }

 private:
  std::vector<NamedTensor> tensors_;
  Metadata metadata_;
  std::filesystem::path path_;
  std::vector<TensorInfo> infos_;
};

// What the two sinks have in common.
template <class Base>
class SinkWriter : public Base {
 public:
  void begin(const Layout& layout) override {
    if (begun_) throw Error(ErrorCode::Usage, "output begun twice");
    begun_ = true;
    tiles_.reserve(layout.tensors.size());
    for (const TensorInfo& tensor : layout.tensors) {
      size_bytes_ += tensor.size_bytes();
      add(tensor);
    }
    for (const auto& [name, content] : layout.texts) add_text(name, content);
  }
  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data) override {
    tiles_.write(index, first_row, rows, first_byte, row_bytes, data);
  }
  void add_text(std::string_view, std::string content) override {
    size_bytes_ += static_cast<std::int64_t>(content.size());
  }
  void finish() override { tiles_.require_complete(); }
  std::int64_t size_bytes() const noexcept override { return size_bytes_; }

 protected:
  virtual void add(const TensorInfo& tensor) = 0;

  TileWriter tiles_;

 private:
  bool begun_ = false;
  std::int64_t size_bytes_ = 0;
};

class NullWriter final : public SinkWriter<CheckpointWriter> {
  void add(const TensorInfo& tensor) override { tiles_.add(tensor); }
};

class KeepingWriter final : public SinkWriter<MemoryWriter> {
 public:
  void begin(const Layout& layout) override {
    metadata_ = layout.metadata;
    SinkWriter::begin(layout);
  }
  void add_text(std::string_view name, std::string content) override {
    texts_.emplace_back(name, content);
    SinkWriter::add_text(name, std::move(content));
  }
  void finish() override {
    SinkWriter::finish();
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      tensors_.push_back({infos_[i].name, Tensor(infos_[i].dtype, infos_[i].shape, std::move(buffers_[i]))});
    }
    buffers_.clear();
  }

  const std::vector<NamedTensor>& tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  const std::vector<std::pair<std::string, std::string>>& texts() const noexcept override { return texts_; }

 private:
  void add(const TensorInfo& tensor) override {
    infos_.push_back(tensor);
    buffers_.emplace_back(static_cast<std::size_t>(tensor.size_bytes()));
    tiles_.add(tensor, buffers_.back().span());
  }

  std::vector<TensorInfo> infos_;
  std::vector<Buffer> buffers_;
  std::vector<NamedTensor> tensors_;
  Metadata metadata_;
  std::vector<std::pair<std::string, std::string>> texts_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_checkpoint(std::vector<NamedTensor> tensors, Metadata metadata,
                                            const std::filesystem::path& path) {
  return std::make_unique<MemoryCheckpoint>(std::move(tensors), std::move(metadata), path);
}

std::unique_ptr<MemoryWriter> make_memory_writer() {
  return std::make_unique<KeepingWriter>();
}

std::unique_ptr<CheckpointWriter> make_null_writer() {
  return std::make_unique<NullWriter>();
}

}  // namespace mq
