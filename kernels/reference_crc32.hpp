// CRC-32 (reflected 0xEDB88320) eight bytes at a time, each byte through its own table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mq::kernels {

template <class Isa>
struct ReferenceCrc32 {
  static std::uint32_t update(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) noexcept {
    std::uint32_t state = ~crc;
    for (; n >= 8; n -= 8, bytes += 8) {
      const std::uint32_t low = state ^ little_endian(bytes);
      const std::uint32_t high = little_endian(bytes + 4);
      state = kTables.at[7][low & 0xff] ^ kTables.at[6][low >> 8 & 0xff] ^ kTables.at[5][low >> 16 & 0xff] ^
              kTables.at[4][low >> 24] ^ kTables.at[3][high & 0xff] ^ kTables.at[2][high >> 8 & 0xff] ^
              kTables.at[1][high >> 16 & 0xff] ^ kTables.at[0][high >> 24];
    }
    for (; n > 0; --n, ++bytes) state = state >> 8 ^ kTables.at[0][(state ^ *bytes) & 0xff];
    return ~state;
  }

 private:
  struct Tables {
    std::uint32_t at[8][256];  // at[k][b]: the state that byte b leaves k zero bytes later
  };

  static constexpr Tables make_tables() {
    Tables tables = {};
    for (std::uint32_t b = 0; b < 256; ++b) {
      std::uint32_t state = b;
      for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0xedb88320u : 0u);
      tables.at[0][b] = state;
    }
    for (int k = 1; k < 8; ++k) {
      for (int b = 0; b < 256; ++b) {
        const std::uint32_t before = tables.at[k - 1][b];
        tables.at[k][b] = before >> 8 ^ tables.at[0][before & 0xff];
      }
    }
    return tables;
  }

  static std::uint32_t little_endian(const std::uint8_t* p) {
    return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
  }

  static constexpr Tables kTables = make_tables();
};

}  // namespace mq::kernels
