// CRC-32 by carry-less multiplication: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel, 2009, with the constants of the reflected polynomial 0xEDB88320.
#pragma once

#include <immintrin.h>

#include "kernels/reference.hpp"

namespace mq::kernels {

template <class Isa>
struct X86Crc32 {
  static std::uint32_t update(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) {
    if (n < 64) return Reference<Isa>::crc32(crc, bytes, n);
    __m128i state[4];
    for (int k = 0; k < 4; ++k) state[k] = load(bytes + 16 * k);
    state[0] = _mm_xor_si128(state[0], _mm_cvtsi32_si128(static_cast<int>(~crc)));
    return go_on(state, bytes + 64, n - 64);
  }

  // Of the 64 bytes in state, followed by n.
  static std::uint32_t go_on(__m128i (&state)[4], const std::uint8_t* bytes, std::size_t n) {
    for (; n >= 64; n -= 64, bytes += 64) {
      for (int k = 0; k < 4; ++k) state[k] = fold(state[k], load(bytes + 16 * k), by_512());
    }
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);  // x^(128-32), x^(128+32) mod P
    __m128i folded = fold(fold(fold(state[0], state[1], by_128), state[2], by_128), state[3], by_128);
    for (; n >= 16; n -= 16, bytes += 16) folded = fold(folded, load(bytes), by_128);
    return Reference<Isa>::crc32(~reduced(folded), bytes, n);
  }

  // x^(512-32), x^(512+32) mod P
  static __m128i by_512() { return _mm_set_epi64x(0x01c6e41596, 0x0154442bd4); }

 private:
  static __m128i load(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

  // Moves state over the distance that `by` stands for and adds what is there.
  static __m128i fold(__m128i state, __m128i data, __m128i by) {
    const __m128i low = _mm_clmulepi64_si128(state, by, 0x00);
    const __m128i high = _mm_clmulepi64_si128(state, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), data);
  }

  // 128 bits to the 32 of the remainder: two folds, then Barrett's reduction.
  static std::uint32_t reduced(__m128i folded) {
    const __m128i low_32 = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i by_96 = _mm_set_epi64x(0x0163cd6124, 0x00ccaa009e);
    const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);  // floor(x^64 / P), P
    __m128i v = _mm_xor_si128(_mm_srli_si128(folded, 8), _mm_clmulepi64_si128(folded, by_96, 0x00));
    v = _mm_xor_si128(_mm_srli_si128(v, 4), _mm_clmulepi64_si128(_mm_and_si128(v, low_32), by_96, 0x10));
    __m128i q = _mm_clmulepi64_si128(_mm_and_si128(v, low_32), barrett, 0x10);
    q = _mm_clmulepi64_si128(_mm_and_si128(q, low_32), barrett, 0x00);
    return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(v, q), 1));
  }
};

}  // namespace mq::kernels
