// ggml's blocks of floats of four bits (E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign).
//
//   mxfp4   e u8  nibbles[16]         y = E2M1[q] * 2^(e - 127)     32 weights
//   nvfp4   s u8[4]  nibbles[4][8]    y = E2M1[q] * UE4M3(s)        64 weights, s of 16 each
//
// Half of a block's codes lie in the low nibbles, the other half in the high ones: not in adjacent pairs, as the OCP
// formats of the same names have them elsewhere. UE4M3 has a bias of 7, its 0x7f is 0, bit 7 has no meaning.
// Numbers are doubled and scales halved, so that no scale is infinite and 2^-127 is what ggml makes of it.
// Source: ggml-org/ggml, src/ggml-common.h, src/ggml-impl.h, src/ggml-quants.c.
#include <bit>

#include "src/codecs/gguf.hpp"

namespace mq::gguf {
namespace {

constexpr std::array<float, 16> kDoubled{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(e - 128).
float half_power(std::uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

float half_ue4m3(std::uint8_t code) {
  if (code == 0x7f) return 0;
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return static_cast<float>(8 + mantissa) * std::bit_cast<float>((exponent - 11 + 127) << 23);
}

template <int kHalf>
void decode_codes(float half_scale, const std::uint8_t* __restrict codes, float* __restrict y) {
  std::array<float, 16> values;
  for (std::size_t q = 0; q < values.size(); ++q) values[q] = half_scale * kDoubled[q];
  for (int j = 0; j < kHalf; ++j) {
    y[j] = values[codes[j] & 15];
    y[kHalf + j] = values[codes[j] >> 4];
  }
}

void decode_mxfp4(const std::uint8_t* __restrict block, float* __restrict y) {
  decode_codes<16>(half_power(block[0]), block + 1, y);
}

void decode_nvfp4(const std::uint8_t* __restrict block, float* __restrict y) {
  for (int s = 0; s < 4; ++s) decode_codes<8>(half_ue4m3(block[s]), block + 4 + 8 * s, y + 16 * s);
}

}  // namespace

const std::array<BlockCoder, 2> kFloat4{{
    {DType::MXFP4, 4, decode_each<32, 17, decode_mxfp4>},
    {DType::NVFP4, 4, decode_each<64, 36, decode_nvfp4>},
}};

}  // namespace mq::gguf
