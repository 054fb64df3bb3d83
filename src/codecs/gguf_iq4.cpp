// ggml's types of four bits whose codes stand for unevenly spaced numbers K, denser around 0, none of them 0.
//
//   iq4_nl   d f16  nibbles[16]                                    y = d * K[q]             32 weights
//   iq4_xs   d f16  scales_h u16  scales_l[4]  nibbles[8][16]      y = d*(sc - 32) * K[q]   256 weights, sc of 32 each
//
// Byte j of 16 holds code j in its low nibble and code j + 16 in its high one. Scale g has its low nibble in nibble g
// of scales_l and its upper two bits in bits 2g of scales_h; d*(sc - 32) is rounded to float first. Source:
// ggml-org/ggml, src/ggml-common.h, src/ggml-quants.c.
#include "src/codecs/gguf_iq4_blocks.hpp"

namespace mq::gguf {
namespace {

constexpr int kHalf = 16;

void decode_32(float d, const std::uint8_t* __restrict codes, float* __restrict y) {
  std::array<float, 16> values;
  for (std::size_t q = 0; q < values.size(); ++q) values[q] = d * kIq4Values[q];
  for (int j = 0; j < kHalf; ++j) {
    y[j] = values[codes[j] & 15];
    y[kHalf + j] = values[codes[j] >> 4];
  }
}

void decode_iq4_nl(const std::uint8_t* __restrict block, float* __restrict y) {
  decode_32(load_half(block), block + 2, y);
}

void decode_iq4_xs(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block);
  const int high = load_u16(block + 2);
  for (int g = 0; g < 8; ++g) {
    const int scale = (block[4 + g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
    decode_32(d * static_cast<float>(scale - 32), block + 8 + g * kHalf, y + g * 32);
  }
}

}  // namespace

const std::array<BlockCoder, 2> kNonlinear{{
    {DType::IQ4_NL, 4, decode_each<32, 18, decode_iq4_nl>},
    {DType::IQ4_XS, 4, decode_each<256, 136, decode_iq4_xs>},
}};

}  // namespace mq::gguf
