// ggml's first block types: 32 weights with an f16 scale d, some with an f16 minimum m.
//
//   q8_0   d  i8 x 32               y = q * d
//   q4_0   d  nibbles               y = (q - 8) * d
//   q4_1   d  m  nibbles            y = q * d + m
//   q5_0   d  fifth bits  nibbles   y = (q - 16) * d
//   q5_1   d  m  fifth bits  nibbles     y = q * d + m
//
// Nibbles: byte j of 16 holds code j in its low half and code j + 16 in its high half. Fifth bits: bit j of a u32
// belongs to code j.
// Source: ggml-org/ggml, src/ggml-common.h, src/ggml-quants.c.
#include "src/codecs/gguf.hpp"

namespace mq::gguf {
namespace {

constexpr int kHalf = 16;

void decode_q8_0(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block);
  for (int j = 0; j < 2 * kHalf; ++j) y[j] = static_cast<float>(static_cast<std::int8_t>(block[2 + j])) * d;
}

void decode_q4_0(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block);
  const std::uint8_t* const codes = block + 2;
  for (int j = 0; j < kHalf; ++j) y[j] = static_cast<float>((codes[j] & 15) - 8) * d;
  for (int j = 0; j < kHalf; ++j) y[kHalf + j] = static_cast<float>((codes[j] >> 4) - 8) * d;
}

void decode_q4_1(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block), m = load_half(block + 2);
  const std::uint8_t* const codes = block + 4;
  for (int j = 0; j < kHalf; ++j) y[j] = static_cast<float>(codes[j] & 15) * d + m;
  for (int j = 0; j < kHalf; ++j) y[kHalf + j] = static_cast<float>(codes[j] >> 4) * d + m;
}

// The codes of a block of five bits.
void unpack_fives(const std::uint8_t* __restrict bits, const std::uint8_t* __restrict nibbles, int* __restrict codes) {
  const std::uint32_t high = load_u32(bits);
  for (int j = 0; j < kHalf; ++j) codes[j] = (nibbles[j] & 15) | static_cast<int>(high >> j & 1) << 4;
  for (int j = 0; j < kHalf; ++j) {
    codes[kHalf + j] = (nibbles[j] >> 4) | static_cast<int>(high >> (kHalf + j) & 1) << 4;
  }
}

void decode_q5_0(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block);
  int codes[2 * kHalf];
  unpack_fives(block + 2, block + 6, codes);
  for (int j = 0; j < 2 * kHalf; ++j) y[j] = static_cast<float>(codes[j] - 16) * d;
}

void decode_q5_1(const std::uint8_t* __restrict block, float* __restrict y) {
  const float d = load_half(block), m = load_half(block + 2);
  int codes[2 * kHalf];
  unpack_fives(block + 4, block + 8, codes);
  for (int j = 0; j < 2 * kHalf; ++j) y[j] = static_cast<float>(codes[j]) * d + m;
}

}  // namespace

const std::array<BlockCoder, 5> kLegacy{{
    {DType::Q8_0, 8, decode_each<32, 34, decode_q8_0>},
    {DType::Q4_0, 4, decode_each<32, 18, decode_q4_0>},
    {DType::Q4_1, 4, decode_each<32, 20, decode_q4_1>},
    {DType::Q5_0, 5, decode_each<32, 22, decode_q5_0>},
    {DType::Q5_1, 5, decode_each<32, 24, decode_q5_1>},
}};

}  // namespace mq::gguf
