// CRC-32 by 512-bit carry-less multiplication, where the CPU has it beside what the table needs.
#pragma once

#include <immintrin.h>

#include "kernels/isa/x86_crc32.hpp"

namespace mq::kernels {

template <class Isa>
struct Avx512Crc32 {
  static std::uint32_t update(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) {
    if (n < kStep || !__builtin_cpu_supports("vpclmulqdq")) return X86Crc32<Isa>::update(crc, bytes, n);
    return wide(crc, bytes, n);
  }

 private:
  static constexpr std::size_t kStep = 256;

  __attribute__((target("vpclmulqdq"))) static std::uint32_t wide(std::uint32_t crc, const std::uint8_t* bytes,
                                                                  std::size_t n) {
    __m512i state[4];
    for (int k = 0; k < 4; ++k) state[k] = _mm512_loadu_si512(bytes + 64 * k);
    state[0] = _mm512_xor_si512(state[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
    bytes += kStep;
    n -= kStep;
    // x^(2048-32), x^(2048+32) mod P
    const __m512i by_2048 = _mm512_broadcast_i32x4(_mm_set_epi64x(0x01322d1430, 0x011542778a));
    for (; n >= kStep; n -= kStep, bytes += kStep) {
      for (int k = 0; k < 4; ++k) state[k] = fold(state[k], _mm512_loadu_si512(bytes + 64 * k), by_2048);
    }
    const __m512i by_512 = _mm512_broadcast_i32x4(X86Crc32<Isa>::by_512());
    const __m512i folded = fold(fold(fold(state[0], state[1], by_512), state[2], by_512), state[3], by_512);
    __m128i last[4] = {_mm512_castsi512_si128(folded), _mm512_extracti32x4_epi32(folded, 1),
                       _mm512_extracti32x4_epi32(folded, 2), _mm512_extracti32x4_epi32(folded, 3)};
    return X86Crc32<Isa>::go_on(last, bytes, n);
  }

  __attribute__((target("vpclmulqdq"))) static __m512i fold(__m512i state, __m512i data, __m512i by) {
    const __m512i low = _mm512_clmulepi64_epi128(state, by, 0x00);
    const __m512i high = _mm512_clmulepi64_epi128(state, by, 0x11);
    return _mm512_ternarylogic_epi64(low, high, data, 0x96);  // of all three the exclusive or
  }
};

}  // namespace mq::kernels
