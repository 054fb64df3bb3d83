#include "src/part_layout.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "src/narrow_part.hpp"
#include "src/pack_down.hpp"

namespace mq {
namespace {

constexpr std::int64_t kWord = 4;
constexpr std::int64_t kWidest = 8;

template <class Item>
void transpose_items(const std::byte* in, std::int64_t rows, std::int64_t cols, std::byte* out) {
  constexpr std::int64_t kBlock = 32;  // keeps both sides of a block in cache
  for (std::int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    for (std::int64_t c0 = 0; c0 < cols; c0 += kBlock) {
      for (std::int64_t c = c0; c < std::min(c0 + kBlock, cols); ++c) {
        for (std::int64_t r = r0; r < std::min(r0 + kBlock, rows); ++r) {
          std::memcpy(out + (c * rows + r) * static_cast<std::int64_t>(sizeof(Item)),
                      in + (r * cols + c) * static_cast<std::int64_t>(sizeof(Item)), sizeof(Item));
        }
      }
    }
  }
}

void transpose(std::int64_t item, const std::byte* in, std::int64_t rows, std::int64_t cols, std::byte* out) {
  if (item == 1) return transpose_items<std::uint8_t>(in, rows, cols, out);
  if (item == 2) return transpose_items<std::uint16_t>(in, rows, cols, out);
  if (item == 4) return transpose_items<std::uint32_t>(in, rows, cols, out);
  transpose_items<std::uint64_t>(in, rows, cols, out);
}

template <class F>
void for_each_word(std::span<std::byte> bytes, F&& f) {
  for (std::size_t at = 0; at + sizeof(std::uint32_t) <= bytes.size(); at += sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    word = f(word);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
}

constexpr std::uint32_t swapped_halves(std::uint32_t word) {
  return (word & 0x0f0f0f0fu) << 4 | (word >> 4 & 0x0f0f0f0fu);
}

// Field k of the result is field order[k] of the word.
constexpr std::uint32_t reordered(std::uint32_t word, const std::array<int, 8>& order) {
  std::uint32_t out = 0;
  for (int k = 0; k < 8; ++k) out |= (word >> (4 * order[static_cast<std::size_t>(k)]) & 15u) << (4 * k);
  return out;
}
constexpr std::array<int, 8> kInterleave = {0, 2, 4, 6, 1, 3, 5, 7};
constexpr std::array<int, 8> kDeinterleave = {0, 4, 1, 5, 2, 6, 3, 7};
static_assert(reordered(0x76543210u, kInterleave) == 0x75316420u);
static_assert(reordered(0x75316420u, kDeinterleave) == 0x76543210u);

// Both ways for halves; interleaves or undoes it.
void reorder_fields(PartForm::Fields fields, bool store, std::span<std::byte> words) {
  if (fields == PartForm::Fields::HighFirst) return for_each_word(words, swapped_halves);
  if (fields != PartForm::Fields::Interleaved) return;
  const std::array<int, 8>& order = store ? kInterleave : kDeinterleave;
  for_each_word(words, [&](std::uint32_t word) { return reordered(word, order); });
}

constexpr float kLargestCode = 127.0f;

// The number of which a 127th is the scale, if there is one: the one that the scale was made from.
float times_127(float scale) {
  const float product = scale * kLargestCode;
  for (const float candidate : {std::nextafter(product, 0.0f), std::nextafter(product, 2 * product)}) {
    if (product / kLargestCode != scale && candidate / kLargestCode == scale) return candidate;
  }
  return product;
}

// The number whose reciprocal is x, if there is one.
float inverse(float x) {
  const float quotient = 1.0f / x;
  for (const float candidate : {std::nextafter(quotient, 0.0f), std::nextafter(quotient, 2 * quotient)}) {
    if (1.0f / quotient != x && 1.0f / candidate == x) return candidate;
  }
  return quotient;
}

// Block scales as cuBLAS wants them: tiles of 128 rows of 4, one row of tiles after the other.
constexpr std::int64_t kTileRows = 128, kTileCols = 4, kTileBytes = kTileRows * kTileCols;

std::int64_t tiles_for(std::int64_t n, std::int64_t side) {
  return (n + side - 1) / side;
}

// Where byte (row, col) of the part lies among the tiles of its row of tiles.
std::int64_t place_in_tiles(std::int64_t row, std::int64_t col) {
  return col / kTileCols * kTileBytes + row % 32 * 16 + row % kTileRows / 32 * kTileCols + col % kTileCols;
}

template <class F>
void for_each_float(std::span<std::byte> bytes, F&& f) {
  for (std::size_t at = 0; at + sizeof(float) <= bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    value = f(value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
}

std::span<std::uint8_t> as_u8(std::span<std::byte> bytes) {
  return {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

PartMatrix part_matrix(const PartInfo& part, const QuantSpec& spec) {
  return {.dtype = part.dtype,
          .rows = part.rows,
          .row_bytes = part.row_bytes,
          .item_bytes = info(part.dtype).block_bytes,
          .bits = spec.bits,
          .least = spec.is_integer() ? spec.qmin() : 0};
}

PartLayout::PartLayout(const PartForm& form, const PartMatrix& part)
    : form_(form), part_(part), direct_(form == PartForm{} || form == PartForm{.packing = PartForm::Packing::Along}) {
  std::int64_t rows = part.rows;
  std::int64_t row_bytes = part.row_bytes;
  item_ = part.item_bytes;
  if (form.packing == PartForm::Packing::Along) item_ = kWord;
  if (form.value == PartForm::Value::Widest) {
    row_bytes = row_bytes / item_ * kWidest;
    item_ = kWidest;
  }
  if (form.packing == PartForm::Packing::Down) {
    item_ = kWord;
    rows = words_until(part.rows);
    row_bytes = part.row_bytes * kWord;
  }
  if (form.packing == PartForm::Packing::Tiles) {
    rows = tiles_for(part.rows, kTileRows);
    row_bytes = tiles_for(part.row_bytes, kTileCols) * kTileBytes;
  }
  stored_rows_ = form.transposed ? row_bytes / item_ : rows;
  stored_row_bytes_ = form.transposed ? rows * item_ : row_bytes;
}

ByteRect PartLayout::stored(const ByteRect& part) const noexcept {
  ByteRect rect = part;
  if (form_.packing == PartForm::Packing::Tiles) {
    const std::int64_t first = part.row / kTileRows;
    return {first, tiles_for(part.row + part.rows, kTileRows) - first, 0, stored_row_bytes_};
  }
  if (form_.packing == PartForm::Packing::Down) {
    rect.row = words_before(part.row);
    rect.rows = words_until(part.row + part.rows) - rect.row;
    rect.byte *= kWord;
    rect.bytes *= kWord;
  }
  if (form_.value == PartForm::Value::Widest) {
    rect.byte = rect.byte / part_.item_bytes * kWidest;
    rect.bytes = rect.bytes / part_.item_bytes * kWidest;
  }
  if (!form_.transposed) return rect;
  return {rect.byte / item_, rect.bytes / item_, rect.row * item_, rect.rows * item_};
}

// Byte i of a rectangle of whole rows, counted from the first tile of the first row.
std::size_t PartLayout::tiled_place(const ByteRect& part, std::size_t i) const noexcept {
  const std::int64_t row = part.row + static_cast<std::int64_t>(i) / part_.row_bytes;
  const std::int64_t col = static_cast<std::int64_t>(i) % part_.row_bytes;
  const std::int64_t down = row / kTileRows - part.row / kTileRows;
  return static_cast<std::size_t>(down * stored_row_bytes_ + place_in_tiles(row, col));
}

// Codes are counted from the least one, and stored less one where the form says so.
std::int32_t PartLayout::stored_zero() const noexcept {
  return part_.least + (form_.value == PartForm::Value::LessOne ? 1 : 0);
}

std::span<const std::byte> PartLayout::to_stored(const ByteRect& part, std::span<const std::byte> bytes,
                                                 std::vector<std::byte>& out) const {
  if (direct_ || bytes.empty()) return bytes;
  std::vector<std::byte> work;
  const ByteRect rect = stored(part);
  const auto size = static_cast<std::size_t>(rect.rows * rect.bytes);
  if (form_.packing == PartForm::Packing::Tiles) {
    out.assign(size, std::byte{0});
    for (std::size_t i = 0; i < bytes.size(); ++i) out[tiled_place(part, i)] = bytes[i];
    return out;
  }
  if (form_.packing == PartForm::Packing::Down) {
    std::vector<std::uint32_t> words(size / kWord);
    pack_down({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, part.bytes, part_.bits,
              stored_zero(), words);
    const auto packed = std::as_bytes(std::span(words));
    work.assign(packed.begin(), packed.end());
  } else if (form_.value == PartForm::Value::Widest) {
    work.resize(size);
    widen_part(part_.dtype, bytes, work);
  } else {
    work.assign(bytes.begin(), bytes.end());
  }
  reorder_fields(form_.fields, true, work);
  if (form_.value == PartForm::Value::Times127) for_each_float(work, times_127);
  if (form_.value == PartForm::Value::Inverse) for_each_float(work, inverse);
  if (!form_.transposed) {
    out = std::move(work);
    return out;
  }
  out.resize(size);
  transpose(item_, work.data(), rect.bytes / item_, rect.rows, out.data());
  return out;
}

void PartLayout::from_stored(const ByteRect& part, std::span<std::byte> stored_bytes, std::span<std::byte> out) const {
  if (out.empty()) return;
  if (form_.packing == PartForm::Packing::Tiles) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = stored_bytes[tiled_place(part, i)];
    return;
  }
  const ByteRect rect = stored(part);
  std::vector<std::byte> turned;
  std::span<std::byte> work = stored_bytes;
  if (form_.transposed) {
    turned.resize(work.size());
    transpose(item_, work.data(), rect.rows, rect.bytes / item_, turned.data());
    work = turned;
  }
  reorder_fields(form_.fields, false, work);
  if (form_.value == PartForm::Value::Times127) for_each_float(work, [](float x) { return x / kLargestCode; });
  if (form_.value == PartForm::Value::Inverse) for_each_float(work, [](float x) { return 1.0f / x; });
  if (form_.packing != PartForm::Packing::Down) {
    std::memcpy(out.data(), work.data(), out.size());
    return;
  }
  std::vector<std::uint32_t> words(work.size() / kWord);
  std::memcpy(words.data(), work.data(), work.size());
  // Writers take one from whole words, so that a field of 0 borrows from the next: adding it to words undoes that.
  const bool whole_fields = 32 % part_.bits == 0;
  if (form_.value == PartForm::Value::LessOne && whole_fields) {
    std::uint32_t ones = 0;
    for (int bit = 0; bit < 32; bit += part_.bits) ones |= std::uint32_t{1} << bit;
    for (std::uint32_t& word : words) word += ones;
  }
  unpack_down(words, part.row, part.bytes, part_.bits, whole_fields ? part_.least : stored_zero(), as_u8(out));
  if (whole_fields) return;
  const auto mask = static_cast<std::uint8_t>((1u << part_.bits) - 1);
  for (std::uint8_t& code : as_u8(out)) {
    code = static_cast<std::uint8_t>(((code - part_.least) & mask) + part_.least);
  }
}

}  // namespace mq
