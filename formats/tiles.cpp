#include "formats/tiles.hpp"

#include <cstring>
#include <set>
#include <string>

#include "mq/error.hpp"

namespace mq::formats {
namespace {

[[noreturn]] void refuse(std::string_view tensor, std::string message, std::string expected, std::string found) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::move(message),
               .tensor = std::string(tensor),
               .expected = std::move(expected),
               .found = std::move(found)});
}

// Whether [first, first + count) lies inside [0, size).
bool inside(std::int64_t first, std::int64_t count, std::int64_t size) {
  return first >= 0 && count >= 0 && first <= size && count <= size - first;
}

std::string range(std::int64_t first, std::int64_t count) {
  return std::to_string(count) + " from " + std::to_string(first);
}

// Bytes of each row of the tile.
std::int64_t require_tile(std::string_view name, std::uint64_t tensor_bytes, std::int64_t first_row, std::int64_t rows,
                          std::int64_t first_byte, std::int64_t row_bytes, std::size_t tile_bytes) {
  const auto total = static_cast<std::int64_t>(tensor_bytes);
  if (row_bytes <= 0 || total % row_bytes != 0) {
    refuse(name, "tile rows do not divide the tensor", "a divisor of " + std::to_string(total) + " bytes",
           std::to_string(row_bytes));
  }
  if (rows <= 0 || !inside(first_row, rows, total / row_bytes)) {
    refuse(name, "tile outside the tensor", "rows of " + std::to_string(total / row_bytes), range(first_row, rows));
  }
  const auto bytes = static_cast<std::int64_t>(tile_bytes);
  if (bytes % rows != 0 || !inside(first_byte, bytes / rows, row_bytes)) {
    refuse(name, "tile outside its rows",
           std::to_string(rows) + " rows of at most " + std::to_string(row_bytes) + " bytes", range(first_byte, bytes));
  }
  return bytes / rows;
}

}  // namespace

std::size_t require_index(std::size_t index, std::size_t tensors) {
  if (index >= tensors) refuse("", "index of a tensor", "less than " + std::to_string(tensors), std::to_string(index));
  return index;
}

std::uint64_t require_range(const TensorInfo& tensor, std::int64_t first, std::int64_t count, std::size_t out_bytes) {
  const std::int64_t numel = tensor.numel();
  const std::int64_t block = info(tensor.dtype).block_numel;
  if (!inside(first, count, numel) || first % block != 0 || count % block != 0) {
    refuse(tensor.name, "range outside the tensor",
           "multiples of " + std::to_string(block) + " inside " + std::to_string(numel) + " elements",
           range(first, count));
  }
  const std::int64_t bytes = bytes_of(tensor.dtype, count);
  if (static_cast<std::uint64_t>(bytes) != out_bytes) {
    refuse(tensor.name, "buffer does not fit the range", std::to_string(bytes) + " bytes", std::to_string(out_bytes));
  }
  return static_cast<std::uint64_t>(bytes_of(tensor.dtype, first));
}

void TileWriter::add(const TensorInfo& tensor, const io::File& file, std::uint64_t offset) {
  add(tensor);
  places_.back().file = &file;
  places_.back().offset = offset;
}

void TileWriter::add(const TensorInfo& tensor, std::span<std::byte> memory) {
  add(tensor);
  places_.back().memory = memory.data();
}

void TileWriter::add(const TensorInfo& tensor) {
  places_.push_back({.name = tensor.name, .size_bytes = static_cast<std::uint64_t>(tensor.size_bytes())});
}

void TileWriter::write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
                       std::int64_t row_bytes, std::span<const std::byte> data) {
  Place& place = places_[require_index(index, places_.size())];
  if (data.empty()) return;
  const std::int64_t tile_bytes =
      require_tile(place.name, place.size_bytes, first_row, rows, first_byte, row_bytes, data.size());
  const std::uint64_t before = std::atomic_ref(place.written).fetch_add(data.size());
  if (before > place.size_bytes || data.size() > place.size_bytes - before) {
    refuse(place.name, "bytes written twice", std::to_string(place.size_bytes) + " bytes",
           std::to_string(before + data.size()));
  }
  const auto start = static_cast<std::uint64_t>(first_row * row_bytes + first_byte);
  try {
    put(place, start, tile_bytes == row_bytes ? 1 : rows, row_bytes, data);
  } catch (...) {
    failed_ = true;  // these bytes are counted, and are not there
    throw;
  }
}

void TileWriter::put(const Place& place, std::uint64_t start, std::int64_t rows, std::int64_t row_bytes,
                     std::span<const std::byte> data) {
  const std::size_t tile_bytes = data.size() / static_cast<std::size_t>(rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint64_t at = start + static_cast<std::uint64_t>(row * row_bytes);
    if (place.file != nullptr) place.file->write(place.offset + at, data.first(tile_bytes));
    if (place.memory != nullptr) std::memcpy(place.memory + at, data.data(), tile_bytes);
    data = data.subspan(tile_bytes);
  }
}

void TileWriter::read(std::size_t index, std::int64_t first_byte, std::span<std::byte> out) const {
  const Place& place = places_[require_index(index, places_.size())];
  if (!inside(first_byte, static_cast<std::int64_t>(out.size()), static_cast<std::int64_t>(place.size_bytes))) {
    refuse(place.name, "bytes outside the tensor", std::to_string(place.size_bytes) + " bytes",
           range(static_cast<std::int64_t>(out.size()), first_byte));
  }
  place.file->read(place.offset + static_cast<std::uint64_t>(first_byte), out);
}

void TileWriter::keep(std::size_t index) {
  Place& place = places_[require_index(index, places_.size())];
  place.written = place.size_bytes;
}

void TileWriter::sync() const {
  std::set<const io::File*> files;
  for (const Place& place : places_) files.insert(place.file);
  for (const io::File* file : files) file->sync();
}

void TileWriter::require_complete() const {
  if (failed_) throw Error(ErrorCode::Io, "the output is incomplete: writing a part of it failed");
  for (const Place& place : places_) {
    if (place.written == place.size_bytes) continue;
    refuse(place.name, "not written completely", std::to_string(place.size_bytes) + " bytes",
           std::to_string(place.written));
  }
}

}  // namespace mq::formats
