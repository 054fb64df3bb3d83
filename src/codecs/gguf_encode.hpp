// The block types of ggml that are written: how floats become blocks. Families as in gguf.hpp; a search for lower error
// is in files of its own.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "src/codecs/gguf.hpp"

namespace mq::gguf {

// Blocks to search: what they hold, and the weights of the squared errors, null if all weigh the same.
struct SearchedBlocks {
  const float* x;  // finite
  const float* weights;
  std::int64_t count;
  bool thorough;  // Effort::Max

  const float* weights_at(std::int64_t element) const { return weights == nullptr ? nullptr : weights + element; }
};

struct BlockEncoder {
  DType dtype;
  std::string_view description;
  std::array<int, 2> halves;  // where a block holds its f16 numbers; -1: none
  // The bytes of ggml's encoder without an importance matrix. x is finite.
  void (*reference)(const float* x, std::int64_t count, std::uint8_t* blocks);
  // Lower error in the same bytes.
  void (*search)(const SearchedBlocks& in, std::uint8_t* blocks);
};

extern const std::array<BlockEncoder, 5> kLegacyEncoders;     // gguf_legacy_encode.cpp
extern const std::array<BlockEncoder, 5> kSuperEncoders;      // gguf_k_encode.cpp
extern const std::array<BlockEncoder, 2> kNonlinearEncoders;  // gguf_iq4_encode.cpp

inline void store_u16(std::uint16_t value, std::uint8_t* to) {
  std::memcpy(to, &value, sizeof value);
}
inline void store_u32(std::uint32_t value, std::uint8_t* to) {
  std::memcpy(to, &value, sizeof value);
}
// Returns what is stored, read back.
inline float store_half(float value, std::uint8_t* to) {
  const std::uint16_t half = kernels::SmallFloat<Scalar>::to_f16(value);
  store_u16(half, to);
  return kernels::SmallFloat<Scalar>::from_f16(half);
}
inline float rounded_to_half(float value) {
  return kernels::SmallFloat<Scalar>::from_f16(kernels::SmallFloat<Scalar>::to_f16(value));
}

// clamp(round to even(v), least, most); `least` for NaN.
inline int whole(float v, int least, int most) {
  const float lo = static_cast<float>(least), hi = static_cast<float>(most);
  const float held = v > lo ? (v < hi ? v : hi) : lo;
  return static_cast<int>((held + 0x1.8p23f) - 0x1.8p23f);
}

inline float inverse_or_zero(float v) {
  return v != 0 ? 1 / v : 0;
}

// The element of largest magnitude, the first of several.
template <int kNumel>
float extreme_of(const float* x) {
  float extreme = 0, largest = 0;
  for (int i = 0; i < kNumel; ++i) {
    const float magnitude = std::fabs(x[i]);
    if (magnitude > largest) {
      largest = magnitude;
      extreme = x[i];
    }
  }
  return extreme;
}

// Blocks whose elements are below this are zeros to ggml.
constexpr float kTiny = 1e-15f;

// 32 codes below 16, split: code j in the low half of byte j, code j + 16 in its high half.
inline void pack_nibbles(const std::uint8_t* codes, std::uint8_t* to) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<std::uint8_t>((codes[j] & 15) | codes[j + 16] << 4);
}

// A BlockEncoder::reference that takes one block after the other.
template <int kNumel, int kBytes, void (*kEncode)(const float* __restrict x, std::uint8_t* __restrict block)>
void encode_each(const float* x, std::int64_t count, std::uint8_t* blocks) {
  for (std::int64_t i = 0; i < count; ++i) kEncode(x + i * kNumel, blocks + i * kBytes);
}

}  // namespace mq::gguf
