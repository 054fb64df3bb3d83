// What every reader and writer of tensors checks about the ranges it is asked for, and the book-keeping of a writer.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// The index itself. Throws: Usage if there are only `tensors` of them.
std::size_t require_index(std::size_t index, std::size_t tensors);

// Byte offset, inside the tensor, of the elements [first, first + count) that Checkpoint::read is asked for.
// Throws: Usage unless they lie inside it, begin and end on a block and fill out_bytes.
std::uint64_t require_range(const TensorInfo& tensor, std::int64_t first, std::int64_t count, std::size_t out_bytes);

// Puts tiles where their tensors lie, and knows how many bytes of each are still missing. write() may run on many
// threads at once.
class TileWriter {
 public:
  // Room for so many tensors, which add() declares.
  void reserve(std::size_t tensors) { places_.reserve(tensors); }
  // Declares the next tensor: its bytes lie at `offset` of `file`, which outlives this object's last write.
  void add(const TensorInfo& tensor, const io::File& file, std::uint64_t offset);
  // Its bytes go to memory, which is borrowed.
  void add(const TensorInfo& tensor, std::span<std::byte> memory);
  // Its bytes are counted and go nowhere.
  void add(const TensorInfo& tensor);

  // As CheckpointWriter::write.
  // Throws: Usage for a tile outside its tensor or bytes beyond the tensor's number, Io.
  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data);

  // Bytes of a tensor as they are in its file. Throws: Usage if they are outside it, Io, Corrupt.
  void read(std::size_t index, std::int64_t first_byte, std::span<std::byte> out) const;
  // Counts all bytes of a tensor as written, because they are there.
  void keep(std::size_t index);
  // Makes what was written durable. Throws: Io.
  void sync() const;

  // Throws: Usage if a byte is missing, Io if writing one failed.
  void require_complete() const;

 private:
  struct Place {
    SharedString name;
    const io::File* file = nullptr;
    std::byte* memory = nullptr;
    std::uint64_t offset = 0;  // of the file
    std::uint64_t size_bytes = 0;
    alignas(std::atomic_ref<std::uint64_t>::required_alignment) std::uint64_t written = 0;  // atomic where threads are
  };
  static void put(const Place& place, std::uint64_t start, std::int64_t rows, std::int64_t row_bytes,
                  std::span<const std::byte> data);

  std::vector<Place> places_;
  std::atomic<bool> failed_ = false;
};

}  // namespace mq::formats
