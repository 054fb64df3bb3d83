// Checkpoints in memory: a source made of vectors, and a writer that keeps what it is given.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::test {

class MemoryCheckpoint final : public Checkpoint {
 public:
  template <class T>
  void add(std::string name, DType dtype, Shape shape, const std::vector<T>& values, std::uint64_t storage = 0) {
    tensors_.push_back({.name = std::move(name), .dtype = dtype, .shape = std::move(shape), .storage = storage});
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    data_.emplace_back(bytes, bytes + values.size() * sizeof(T));
  }
  void add_metadata(std::string key, std::string value) { metadata_.emplace_back(std::move(key), std::move(value)); }

  std::string_view format() const noexcept override { return "memory"; }
  const std::filesystem::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  std::vector<TensorInfo>& infos() { return tensors_; }

  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    const DTypeInfo& type = info(tensors_[index].dtype);
    const std::int64_t begin = first / type.block_numel * type.block_bytes;
    const std::int64_t size = count / type.block_numel * type.block_bytes;
    if (begin + size > static_cast<std::int64_t>(data_[index].size()) ||
        size != static_cast<std::int64_t>(out.size())) {
      throw Error(ErrorCode::Internal, "memory checkpoint: read outside the tensor");
    }
    if (size > 0) std::memcpy(out.data(), data_[index].data() + begin, static_cast<std::size_t>(size));
  }
  using Checkpoint::read;

 private:
  std::filesystem::path path_ = "memory";
  std::vector<TensorInfo> tensors_;
  std::vector<std::vector<std::byte>> data_;
  Metadata metadata_;
};

// Counts how often each byte is written; converts into a checkpoint that can be read.
class CountingWriter final : public CheckpointWriter {
 public:
  void begin(const Layout& layout) override {
    layout_ = layout;
    for (const TensorInfo& tensor : layout.tensors) {
      data_.emplace_back(static_cast<std::size_t>(tensor.size_bytes()));
      written_.emplace_back(data_.back().size(), 0);
    }
  }

  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data) override {
    const std::lock_guard lock(*mutex_);
    const std::size_t width = rows > 0 ? data.size() / static_cast<std::size_t>(rows) : 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto at = static_cast<std::size_t>((first_row + r) * row_bytes + first_byte);
      if (at + width > data_[index].size()) throw Error(ErrorCode::Internal, "memory writer: tile outside the tensor");
      std::memcpy(data_[index].data() + at, data.data() + static_cast<std::size_t>(r) * width, width);
      for (std::size_t b = 0; b < width; ++b) ++written_[index][at + b];
    }
  }

  void add_text(std::string_view name, std::string content) override { texts[std::string(name)] = std::move(content); }
  void finish() override { finished = true; }
  std::int64_t size_bytes() const noexcept override { return 0; }

  bool every_byte_once() const {
    return std::all_of(written_.begin(), written_.end(), [](const std::vector<std::uint8_t>& counts) {
      return std::all_of(counts.begin(), counts.end(), [](std::uint8_t count) { return count == 1; });
    });
  }

  MemoryCheckpoint checkpoint() const {
    MemoryCheckpoint out;
    for (std::size_t i = 0; i < data_.size(); ++i) {
      const TensorInfo& t = layout_.tensors[i];
      out.add(t.name, t.dtype, t.shape, data_[i]);
    }
    for (const auto& [key, value] : layout_.metadata) out.add_metadata(key, std::get<std::string>(value));
    return out;
  }

  const std::vector<std::vector<std::byte>>& data() const { return data_; }

  std::map<std::string, std::string> texts;
  bool finished = false;

 private:
  Layout layout_;
  std::vector<std::vector<std::byte>> data_;
  std::vector<std::vector<std::uint8_t>> written_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
};

// Deterministic values that look like weights: roughly normal, |x| < 4.
inline std::vector<float> weights(std::size_t numel, std::uint32_t seed = 1) {
  std::vector<float> out(numel);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (float& value : out) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      sum += static_cast<float>(state >> 40) / 8388608.0f - 1.0f;
    }
    value = sum * 0.5f;
  }
  return out;
}

}  // namespace mq::test
