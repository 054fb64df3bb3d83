// The block types of ggml: how the blocks of each become floats. One family of types per file; gguf.cpp lists the
// families and makes them one encoding.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/small_float.hpp"
#include "mq/dtype.hpp"

namespace mq::gguf {

struct BlockCoder {
  DType dtype;
  int bits;  // of a code, without its share of the scales
  // Blocks may lie at any address.
  void (*decode)(const std::uint8_t* blocks, std::int64_t count, float* y);
};

extern const std::array<BlockCoder, 5> kLegacy;     // gguf_legacy.cpp
extern const std::array<BlockCoder, 5> kSuper;      // gguf_k.cpp
extern const std::array<BlockCoder, 2> kNonlinear;  // gguf_iq4.cpp
extern const std::array<BlockCoder, 2> kFloat4;     // gguf_fp4.cpp

// Numbers inside a block.
inline std::uint16_t load_u16(const std::uint8_t* from) {
  std::uint16_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}
inline std::uint32_t load_u32(const std::uint8_t* from) {
  std::uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}
struct Scalar;
inline float load_half(const std::uint8_t* from) {
  return kernels::SmallFloat<Scalar>::from_f16(load_u16(from));
}

// A BlockCoder::decode that takes one block after the other.
template <int kNumel, int kBytes, void (*kDecode)(const std::uint8_t* __restrict block, float* __restrict y)>
void decode_each(const std::uint8_t* blocks, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) kDecode(blocks + i * kBytes, y + i * kNumel);
}

}  // namespace mq::gguf
