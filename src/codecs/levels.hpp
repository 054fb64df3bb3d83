// The encodings whose codes of 4 bits stand for uneven levels: what each of them is made of.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "src/codecs/codec.hpp"

namespace mq {

struct LevelFormat {
  std::string_view name;
  kernels::Levels levels;
  // The code that is stored for each code of the kernels, which follow the size of the levels.
  std::array<std::uint8_t, 16> stored;
  // The exponent of the largest power of two among the levels, for scales that are powers of two.
  int largest_exponent;

  float largest() const noexcept { return levels.value[levels.sign_magnitude ? 7 : 15]; }
};

// Sixteen ascending levels and the middles between them.
constexpr kernels::Levels signed_levels(const std::array<float, 16>& values) {
  kernels::Levels levels{.value = {}, .middle = {}, .sign_magnitude = false};
  for (std::size_t i = 0; i < values.size(); ++i) levels.value[i] = values[i];
  for (std::size_t i = 0; i + 1 < values.size(); ++i) levels.middle[i] = (values[i] + values[i + 1]) / 2;
  return levels;
}

// Codes of 4 bits, one per byte, of the rows of a tile to packed rows (mq/pack.hpp).
void pack_nibble_rows(const std::uint8_t* codes, const Tile& tile, std::uint8_t* packed);

// The codes of a tile one per byte: as they are stored, or unpacked into `loose`.
const std::uint8_t* nibble_rows(CodeForm form, const Tile& tile, std::span<const std::byte> stored,
                                std::vector<std::uint8_t>& loose);

// Null if the encoding is none of them.
const LevelFormat* level_format(const QuantSpec& spec) noexcept;

}  // namespace mq
