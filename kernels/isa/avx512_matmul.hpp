// What the products need of AVX-512 F, BW, VL and DQ. The products of bytes are left to what is made of it.
#pragma once

#include <immintrin.h>

#include "kernels/matmul.hpp"

namespace mq::kernels {
namespace {

struct Avx512Vectors {
  using Ints = __m512i;
  using Floats = __m512;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kTileRows = 8;
  static constexpr std::size_t kGroupPanels = 3;

  static Ints each(std::int32_t v) { return _mm512_set1_epi32(v); }
  static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints multiply(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
  static Ints load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static Ints widen(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Ints words(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  template <int kShift, int kMask>
  static Floats lifted(Ints words) {
    // (word & mask) | the bits of 2^23
    const __m512i bits = _mm512_ternarylogic_epi32(_mm512_srli_epi32(words, kShift), _mm512_set1_epi32(kMask),
                                                   _mm512_set1_epi32(0x4b000000), 0xea);
    return _mm512_castsi512_ps(bits);
  }

  // f * s = f * low + 128 f * high with s = low + 128 high and low in 0..127: pairs of 16 bits for vpmaddwd.
  static Ints factor(Ints v) {
    const __m512i low = _mm512_and_si512(v, _mm512_set1_epi32(0xffff));
    return _mm512_or_si512(low, _mm512_slli_epi32(v, 23));
  }
  static Ints less_multiple(Ints sum, Ints factor, std::int32_t s) {
    const std::int32_t pair = static_cast<std::int32_t>(static_cast<std::uint32_t>(s >> 7) << 16) | (s & 127);
    return _mm512_sub_epi32(sum, _mm512_madd_epi16(factor, _mm512_set1_epi32(pair)));
  }

  static Floats to_float(Ints v) { return _mm512_cvtepi32_ps(v); }
  static Floats each(float v) { return _mm512_set1_ps(v); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(Floats v, float* p) { _mm512_storeu_ps(p, v); }
  static Floats fused(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }

 protected:
  static std::int32_t four_bytes(const std::int8_t* p) {
    std::int32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
  }
};

}  // namespace
}  // namespace mq::kernels
