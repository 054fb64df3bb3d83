// ggml's K-quants: 256 weights with an f16 scale d, and integer scales of 16 or 32 weights each.
//
//   q2_k   scales[16]  codes[64]  d  dmin               y = d*sc*q - dmin*m     16 weights; sc low nibble, m high
//   q3_k   high[32]  codes[64]  scales[12]  d           y = d*sc*(q - 4)        16 weights; sc 6 bits, less 32
//   q4_k   d  dmin  scales[12]  codes[128]              y = d*sc*q - dmin*m     32 weights; sc and m 6 bits
//   q5_k   d  dmin  scales[12]  high[32]  codes[128]    y = d*sc*q - dmin*m     32 weights; sc and m 6 bits
//   q6_k   codes[128]  high[64]  scales[16]  d          y = d*sc*(q - 32)       16 weights; sc i8
//
// d*sc and dmin*m are rounded to float first. Codes of 2 bits: 32 bytes hold 128 weights, those of 32j + l in bits 2j
// of byte l. Of 4 bits: 32 bytes hold 64 weights, the first 32 in the low nibbles. Source: ggml-org/ggml,
// src/ggml-common.h, src/ggml-quants.c.
#include "src/codecs/gguf_k_blocks.hpp"

namespace mq::gguf {
namespace {

constexpr int kRun = 16;  // weights of the smallest block with a scale

void decode_q2_k(const std::uint8_t* __restrict block, float* __restrict y) {
  const std::uint8_t* const scales = block;
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int g = 0; g < kSuperNumel / kRun; ++g) {
    const std::uint8_t* const codes = block + 16 + g / 8 * 32 + g % 2 * kRun;
    const int shift = g % 8 / 2 * 2;
    const float scale = d * static_cast<float>(scales[g] & 15);
    const float least = dmin * static_cast<float>(scales[g] >> 4);
    for (int l = 0; l < kRun; ++l) y[g * kRun + l] = scale * static_cast<float>(codes[l] >> shift & 3) - least;
  }
}

// The 16 scales of q3_k: low nibbles in 8 bytes, the upper two bits of scale g in bits 2*(g/4) of byte 8 + g%4.
int q3_scale(const std::uint8_t* scales, int g) {
  const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
  const int high = scales[8 + g % 4] >> (2 * (g / 4)) & 3;
  return (low | high << 4) - 32;
}

void decode_q3_k(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block + 108);
  for (int g = 0; g < kSuperNumel / kRun; ++g) {
    const int byte = g % 2 * kRun;
    const std::uint8_t* const high = block + byte;
    const std::uint8_t* const codes = block + 32 + g / 8 * 32 + byte;
    const int shift = g % 8 / 2 * 2, bit = g / 2;
    const float scale = d * static_cast<float>(q3_scale(block + 96, g));
    for (int l = 0; l < kRun; ++l) {
      const int q = (codes[l] >> shift & 3) + (high[l] >> bit & 1) * 4 - 4;
      y[g * kRun + l] = scale * static_cast<float>(q);
    }
  }
}

struct ScaleAndMin {
  float scale;
  float min;
};

// The 8 pairs of 6 bits in the 12 bytes of q4_k and q5_k.
ScaleAndMin pair_of(const std::uint8_t* s, int g) {
  if (g < 4) return {static_cast<float>(s[g] & 63), static_cast<float>(s[g + 4] & 63)};
  return {static_cast<float>((s[g + 4] & 15) | (s[g - 4] >> 6) << 4),
          static_cast<float>((s[g + 4] >> 4) | (s[g] >> 6) << 4)};
}

void decode_q4_k(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block), dmin = load_half(block + 2);
  for (int g = 0; g < 8; ++g) {
    const auto [sc, m] = pair_of(block + 4, g);
    const float scale = d * sc, least = dmin * m;
    const std::uint8_t* const codes = block + 16 + g / 2 * 32;
    const int shift = g % 2 * 4;
    for (int l = 0; l < 32; ++l) y[g * 32 + l] = scale * static_cast<float>(codes[l] >> shift & 15) - least;
  }
}

void decode_q5_k(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block), dmin = load_half(block + 2);
  const std::uint8_t* const high = block + 16;
  for (int g = 0; g < 8; ++g) {
    const auto [sc, m] = pair_of(block + 4, g);
    const float scale = d * sc, least = dmin * m;
    const std::uint8_t* const codes = block + 48 + g / 2 * 32;
    const int shift = g % 2 * 4;
    for (int l = 0; l < 32; ++l) {
      const int q = (codes[l] >> shift & 15) + (high[l] >> g & 1) * 16;
      y[g * 32 + l] = scale * static_cast<float>(q) - least;
    }
  }
}

void decode_q6_k(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block + 208);
  for (int g = 0; g < kSuperNumel / kRun; ++g) {
    const int n = g / 8, r = g % 8 / 2, byte = g % 2 * kRun;
    const std::uint8_t* const low = block + 64 * n + 32 * (r & 1) + byte;
    const std::uint8_t* const high = block + 128 + 32 * n + byte;
    const int low_shift = r / 2 * 4, high_shift = 2 * r;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + g]));
    for (int l = 0; l < kRun; ++l) {
      const int q = (low[l] >> low_shift & 15) + (high[l] >> high_shift & 3) * 16 - 32;
      y[g * kRun + l] = scale * static_cast<float>(q);
    }
  }
}

}  // namespace

const std::array<BlockCoder, 5> kSuper{{
    {DType::Q2_K, 2, decode_each<kSuperNumel, 84, decode_q2_k>},
    {DType::Q3_K, 3, decode_each<kSuperNumel, 110, decode_q3_k>},
    {DType::Q4_K, 4, decode_each<kSuperNumel, 144, decode_q4_k>},
    {DType::Q5_K, 5, decode_each<kSuperNumel, 176, decode_q5_k>},
    {DType::Q6_K, 6, decode_each<kSuperNumel, 210, decode_q6_k>},
}};

}  // namespace mq::gguf
