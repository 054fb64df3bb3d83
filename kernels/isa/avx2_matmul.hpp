// What the products need of AVX2 and FMA. The products of bytes are left to what is made of it.
#pragma once

#include <immintrin.h>

#include "kernels/matmul.hpp"

namespace mq::kernels {
namespace {

struct Avx2Vectors {
  using Ints = __m256i;
  using Floats = __m256;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kGroupPanels = 1;

  static Ints each(std::int32_t v) { return _mm256_set1_epi32(v); }
  static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints multiply(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
  static Ints load(const std::int32_t* p) { return bytes(p); }
  static Ints widen(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static Ints words(const std::uint8_t* p) { return bytes(p); }
  template <int kShift, int kMask>
  static Floats lifted(Ints words) {
    const __m256i code = _mm256_and_si256(_mm256_srli_epi32(words, kShift), _mm256_set1_epi32(kMask));
    return _mm256_castsi256_ps(_mm256_or_si256(code, _mm256_set1_epi32(0x4b000000)));
  }

  static Ints factor(Ints v) { return v; }
  static Ints less_multiple(Ints sum, Ints factor, std::int32_t s) {
    return _mm256_sub_epi32(sum, multiply(factor, each(s)));
  }

  static Floats to_float(Ints v) { return _mm256_cvtepi32_ps(v); }
  static Floats each(float v) { return _mm256_set1_ps(v); }
  static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(Floats v, float* p) { _mm256_storeu_ps(p, v); }
  static Floats fused(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }

 protected:
  static __m256i bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static __m256i four_bytes(const std::int8_t* p) {
    std::int32_t v;
    __builtin_memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
  }
};

}  // namespace
}  // namespace mq::kernels
