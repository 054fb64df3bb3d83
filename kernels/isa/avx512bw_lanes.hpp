// 512-bit vectors: AVX-512 F, BW, VL and DQ on top of what AVX2 has. Included by avx512bw.cpp alone.
#pragma once

#include <immintrin.h>

#include "kernels/isa/avx512_crc32.hpp"
#include "kernels/lanes.hpp"

namespace mq::kernels {
namespace {

// A type of our own, so that what xsimd instantiates for it stays in this object too.
struct Avx512bwArch : xsimd::avx512bw {};

}  // namespace
}  // namespace mq::kernels

namespace xsimd::types {
XSIMD_DECLARE_SIMD_REGISTER_ALIAS(mq::kernels::Avx512bwArch, avx512bw);
template <class T>
struct get_bool_simd_register<T, mq::kernels::Avx512bwArch> {
  using type = simd_avx512_bool_register<T>;
};
}  // namespace xsimd::types

namespace mq::kernels {
namespace {

struct Avx512bw {
  using Arch = Avx512bwArch;
  using Floats = xsimd::batch<float, Arch>;
  using Ints = xsimd::batch<std::int32_t, Arch>;
  using Uints = xsimd::batch<std::uint32_t, Arch>;
  using Words = xsimd::batch<std::int16_t, Arch>;
  using Bytes = xsimd::batch<std::uint8_t, Arch>;
  using SignedBytes = xsimd::batch<std::int8_t, Arch>;

  static Ints widen(const std::uint8_t* p) { return _mm512_cvtepu8_epi32(load_16_bytes(p)); }
  static Ints widen(const std::int8_t* p) { return _mm512_cvtepi8_epi32(load_16_bytes(p)); }
  static Uints widen(const std::uint16_t* p) { return _mm512_cvtepu16_epi32(load_32_bytes(p)); }
  static Ints widen_nibbles(const std::uint8_t* p) {
    return _mm512_and_si512(spread_nibbles(p), _mm512_set1_epi32(15));
  }

  // A run of nibbles has only 16 values: they are computed once and looked up by the low 4 bits of each lane.
  struct NibbleDecoder {
    __m512 values;
    NibbleDecoder(float scale, float zero_point)
        : values(_mm512_mul_ps(_mm512_sub_ps(_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                             _mm512_set1_ps(zero_point)),
                               _mm512_set1_ps(scale))) {}
    Floats operator()(const std::uint8_t* p) const { return _mm512_permutexvar_ps(spread_nibbles(p), values); }
  };

  // The packs work within 128 bits: after two of them 32-bit piece i of the result holds codes of vector i % 4.
  static Words narrow(Ints a, Ints b) { return _mm512_packs_epi32(a, b); }
  static SignedBytes narrow_signed(Words a, Words b) { return _mm512_packs_epi16(a, b); }
  static Bytes narrow_unsigned(Words a, Words b) { return _mm512_packus_epi16(a, b); }
  static Bytes in_order(Bytes q) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), q);
  }

  static void store_nibbles(Bytes q, std::uint8_t* p) {
    const __m512i pairs = _mm512_maddubs_epi16(q, _mm512_set1_epi16(0x1001));
    store_32_bytes(p, _mm512_cvtepi16_epi8(pairs));
  }

  static void unpack_nibbles(const std::uint8_t* p, std::uint8_t* codes) {
    const __m512i words = _mm512_cvtepu8_epi16(load_32_bytes(p));
    const __m512i both = _mm512_or_si512(words, _mm512_slli_epi16(words, 4));
    Bytes(_mm512_and_si512(both, _mm512_set1_epi8(15))).store_unaligned(codes);
  }

  static void store_upper_halves(Uints a, Uints b, std::uint16_t* p) {
    // Half i of a is word 2i of the blend, half i of b word 2i + 1.
    const __m512i mixed = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(a, 16), b);
    const __m512i order = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1,  //
                                           30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi16(order, mixed));
  }

  static Floats from_f16(const std::uint16_t* p) { return _mm512_cvtph_ps(load_32_bytes(p)); }
  static void store_f16(Floats v, std::uint16_t* p) {
    store_32_bytes(p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static Floats from_e5m2(const std::uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(load_16_bytes(p)), 8));
  }
  // The exponent of E4M3 goes to the low end of f16's, which is 2^8 less. Widening with the sign leaves it in bit 8 as
  // well, from where the shift takes it to bit 15. Only for a NaN, all ones, does the addition reach bit 14.
  static Floats from_e4m3_scaled(const std::uint8_t* p) {
    const __m256i words = _mm256_slli_epi16(_mm256_cvtepi8_epi16(load_16_bytes(p)), 7);
    const __m256i number = _mm256_and_si256(words, _mm256_set1_epi16(static_cast<short>(0xbfff)));
    const __m256i carried = _mm256_add_epi16(number, _mm256_set1_epi16(0x80));
    // number | (carried & bit 14)
    return _mm512_cvtph_ps(_mm256_ternarylogic_epi32(number, carried, _mm256_set1_epi16(0x4000), 0xf8));
  }

  static Floats divide(Floats a, Floats b) { return a / b; }
  static Floats fused(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

  class Table {
   public:
    explicit Table(const float (&v)[16]) : v_(_mm512_loadu_ps(v)) {}
    Floats low(Ints k) const { return any(k); }
    Floats high(Ints k) const { return any(k); }
    Floats any(Ints k) const { return _mm512_permutexvar_ps(k, v_); }
    static Ints count(Ints k, Floats a, Floats b) {
      return _mm512_mask_sub_epi32(k, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), k, _mm512_set1_epi32(-1));
    }

   private:
    __m512 v_;
  };

  static void transpose(Floats (&v)[16]) {
    __m512 quads[16];  // [4k + j]: in each 128 bits, column j (of those bits) of rows 4k..4k+3
    for (int k = 0; k < 16; k += 4) {
      const __m512 ab_low = _mm512_unpacklo_ps(v[k], v[k + 1]), ab_high = _mm512_unpackhi_ps(v[k], v[k + 1]);
      const __m512 cd_low = _mm512_unpacklo_ps(v[k + 2], v[k + 3]), cd_high = _mm512_unpackhi_ps(v[k + 2], v[k + 3]);
      quads[k] = _mm512_shuffle_ps(ab_low, cd_low, 0x44);
      quads[k + 1] = _mm512_shuffle_ps(ab_low, cd_low, 0xee);
      quads[k + 2] = _mm512_shuffle_ps(ab_high, cd_high, 0x44);
      quads[k + 3] = _mm512_shuffle_ps(ab_high, cd_high, 0xee);
    }
    for (int j = 0; j < 4; ++j) {
      const __m512 low_even = _mm512_shuffle_f32x4(quads[j], quads[j + 4], 0x88);
      const __m512 low_odd = _mm512_shuffle_f32x4(quads[j], quads[j + 4], 0xdd);
      const __m512 high_even = _mm512_shuffle_f32x4(quads[j + 8], quads[j + 12], 0x88);
      const __m512 high_odd = _mm512_shuffle_f32x4(quads[j + 8], quads[j + 12], 0xdd);
      v[j] = _mm512_shuffle_f32x4(low_even, high_even, 0x88);
      v[j + 4] = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
      v[j + 8] = _mm512_shuffle_f32x4(low_even, high_even, 0xdd);
      v[j + 12] = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
    }
  }

  static float least(Floats v) { return _mm512_reduce_min_ps(v); }
  static float largest(Floats v) { return _mm512_reduce_max_ps(v); }
  static float tree_sum(Floats v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static Floats min_of_each(Floats (&v)[16]) {
    return of_each(v, [](__m512 a, __m512 b) { return _mm512_min_ps(a, b); });
  }
  static Floats max_of_each(Floats (&v)[16]) {
    return of_each(v, [](__m512 a, __m512 b) { return _mm512_max_ps(a, b); });
  }

  static void store_ranges(Floats lo, Floats hi, Range* out) {
    for (int k = 0; k < 4; ++k) {
      const __m512i from = _mm512_add_epi32(_mm512_setr_epi32(0, 16, 0, 0, 1, 17, 0, 0, 2, 18, 0, 0, 3, 19, 0, 0),
                                            _mm512_set1_epi32(4 * k));
      _mm512_storeu_ps(&out[4 * k].lo, _mm512_maskz_permutex2var_ps(0x3333, lo, from, hi));
    }
  }

  static Floats max_magnitude(Floats v, Floats known) {
    constexpr int kLarger = 3, kWithoutSign = 2 << 2;
    return _mm512_range_ps(v, known, kWithoutSign | kLarger);
  }

  static Uints select_bits(Uints mask, Uints a, Uints b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }

  struct NanWatch {
    __mmask16 ordered = 0xffff;
    void add(Floats a, Floats b) { ordered = _mm512_mask_cmp_ps_mask(ordered, a, b, _CMP_ORD_Q); }
    bool any() const { return ordered != 0xffff; }
  };

  static std::uint32_t crc32(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) {
    return Avx512Crc32<Avx512bw>::update(crc, bytes, n);
  }

 private:
  static __m128i load_16_bytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static __m256i load_32_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store_32_bytes(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

  // Nibble i in the low 4 bits of lane i; above it the nibbles that follow.
  static __m512i spread_nibbles(const std::uint8_t* p) {
    // Broadcasts from memory, which leave the shuffle port to the lookup.
    const __m512i first = _mm512_broadcastd_epi32(_mm_loadu_si32(p));
    const __m512i both = _mm512_mask_broadcastd_epi32(first, 0xff00, _mm_loadu_si32(p + 4));
    const __m512i shifts = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
    return _mm512_srlv_epi32(both, shifts);
  }

  template <class Pick>
  static __m512 of_each(Floats (&v)[16], Pick pick) {
    __m512 fours[4];  // in each 128 bits one candidate for each of four vectors
    for (int k = 0; k < 4; ++k) {
      const __m512 ab = pick(_mm512_unpacklo_ps(v[4 * k], v[4 * k + 1]), _mm512_unpackhi_ps(v[4 * k], v[4 * k + 1]));
      const __m512 cd =
          pick(_mm512_unpacklo_ps(v[4 * k + 2], v[4 * k + 3]), _mm512_unpackhi_ps(v[4 * k + 2], v[4 * k + 3]));
      fours[k] = pick(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    }
    const __m512 low =
        pick(_mm512_shuffle_f32x4(fours[0], fours[1], 0x88), _mm512_shuffle_f32x4(fours[0], fours[1], 0xdd));
    const __m512 high =
        pick(_mm512_shuffle_f32x4(fours[2], fours[3], 0x88), _mm512_shuffle_f32x4(fours[2], fours[3], 0xdd));
    return pick(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
  }
};

}  // namespace
}  // namespace mq::kernels
