// 256-bit vectors: AVX2, FMA, F16C, BMI and PCLMULQDQ. Included by avx2.cpp alone.
#pragma once

#include <immintrin.h>

#include "kernels/isa/x86_crc32.hpp"
#include "kernels/lanes.hpp"

namespace mq::kernels {
namespace {

// A type of our own, so that what xsimd instantiates for it stays in this object too.
struct Avx2Arch : xsimd::avx2 {};

}  // namespace
}  // namespace mq::kernels

namespace xsimd::types {
XSIMD_DECLARE_SIMD_REGISTER_ALIAS(mq::kernels::Avx2Arch, avx2);
}  // namespace xsimd::types

namespace mq::kernels {
namespace {

struct Avx2 {
  using Arch = Avx2Arch;
  using Floats = xsimd::batch<float, Arch>;
  using Ints = xsimd::batch<std::int32_t, Arch>;
  using Uints = xsimd::batch<std::uint32_t, Arch>;
  using Words = xsimd::batch<std::int16_t, Arch>;
  using Bytes = xsimd::batch<std::uint8_t, Arch>;
  using SignedBytes = xsimd::batch<std::int8_t, Arch>;

  static Ints widen(const std::uint8_t* p) { return _mm256_cvtepu8_epi32(load_8_bytes(p)); }
  static Ints widen(const std::int8_t* p) { return _mm256_cvtepi8_epi32(load_8_bytes(p)); }
  static Uints widen(const std::uint16_t* p) { return _mm256_cvtepu16_epi32(load_16_bytes(p)); }

  static Ints widen_nibbles(const std::uint8_t* p) {
    const __m256i eight = _mm256_broadcastd_epi32(_mm_loadu_si32(p));
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    return _mm256_and_si256(_mm256_srlv_epi32(eight, shifts), _mm256_set1_epi32(15));
  }

  // The packs work within 128 bits: after two of them 32-bit piece i of the result holds codes of vector i % 4.
  static Words narrow(Ints a, Ints b) { return _mm256_packs_epi32(a, b); }
  static SignedBytes narrow_signed(Words a, Words b) { return _mm256_packs_epi16(a, b); }
  static Bytes narrow_unsigned(Words a, Words b) { return _mm256_packus_epi16(a, b); }
  static Bytes in_order(Bytes q) { return _mm256_permutevar8x32_epi32(q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)); }

  static void store_nibbles(Bytes q, std::uint8_t* p) {
    const __m256i pairs = _mm256_maddubs_epi16(q, _mm256_set1_epi16(0x1001));
    const __m256i packed = _mm256_packus_epi16(pairs, pairs);
    store_16_bytes(p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
  }

  static void unpack_nibbles(const std::uint8_t* p, std::uint8_t* codes) {
    const __m256i words = _mm256_cvtepu8_epi16(load_16_bytes(p));
    const __m256i both = _mm256_or_si256(words, _mm256_slli_epi16(words, 4));
    Bytes(_mm256_and_si256(both, _mm256_set1_epi8(15))).store_unaligned(codes);
  }

  static void store_upper_halves(Uints a, Uints b, std::uint16_t* p) {
    const __m256i words = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(words, 0xd8));
  }

  static Floats from_f16(const std::uint16_t* p) { return _mm256_cvtph_ps(load_16_bytes(p)); }
  static void store_f16(Floats v, std::uint16_t* p) {
    store_16_bytes(p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static Floats from_e5m2(const std::uint8_t* p) {
    return _mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), load_8_bytes(p)));
  }
  // The exponent of E4M3 goes to the low end of f16's, which is 2^8 less. Widening with the sign leaves it in bit 8 as
  // well, from where the shift takes it to bit 15. Only for a NaN, all ones, does the addition reach bit 14.
  static Floats from_e4m3_scaled(const std::uint8_t* p) {
    const __m128i words = _mm_slli_epi16(_mm_cvtepi8_epi16(load_8_bytes(p)), 7);
    const __m128i number = _mm_and_si128(words, _mm_set1_epi16(static_cast<short>(0xbfff)));
    const __m128i nan = _mm_and_si128(_mm_add_epi16(number, _mm_set1_epi16(0x80)), _mm_set1_epi16(0x4000));
    return _mm256_cvtph_ps(_mm_or_si128(number, nan));
  }

  static Floats divide(Floats a, Floats b) { return a / b; }
  static Floats fused(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

  class Table {
   public:
    explicit Table(const float (&v)[16]) : low_(_mm256_loadu_ps(v)), high_(_mm256_loadu_ps(v + 8)) {}
    Floats low(Ints k) const { return _mm256_permutevar8x32_ps(low_, k); }
    Floats high(Ints k) const { return _mm256_permutevar8x32_ps(high_, k); }
    Floats any(Ints k) const {
      return _mm256_blendv_ps(low(k), high(k), _mm256_castsi256_ps(_mm256_slli_epi32(k, 28)));
    }
    static Ints count(Ints k, Floats a, Floats b) {
      return _mm256_sub_epi32(k, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
    }

   private:
    __m256 low_, high_;
  };

  static void transpose(Floats (&v)[8]) {
    __m256 quads[8];  // [4k + j]: in each 128 bits, column j (of those bits) of rows 4k..4k+3
    for (int k = 0; k < 8; k += 4) {
      const __m256 ab_low = _mm256_unpacklo_ps(v[k], v[k + 1]), ab_high = _mm256_unpackhi_ps(v[k], v[k + 1]);
      const __m256 cd_low = _mm256_unpacklo_ps(v[k + 2], v[k + 3]), cd_high = _mm256_unpackhi_ps(v[k + 2], v[k + 3]);
      quads[k] = _mm256_shuffle_ps(ab_low, cd_low, 0x44);
      quads[k + 1] = _mm256_shuffle_ps(ab_low, cd_low, 0xee);
      quads[k + 2] = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
      quads[k + 3] = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
    }
    for (int j = 0; j < 4; ++j) {
      v[j] = _mm256_permute2f128_ps(quads[j], quads[j + 4], 0x20);
      v[j + 4] = _mm256_permute2f128_ps(quads[j], quads[j + 4], 0x31);
    }
  }

  static float least(Floats v) {
    const __m128 four = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
  }
  static float largest(Floats v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float tree_sum(Floats v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static Floats min_of_each(Floats (&v)[8]) {
    return of_each(v, [](__m256 a, __m256 b) { return _mm256_min_ps(a, b); });
  }
  static Floats max_of_each(Floats (&v)[8]) {
    return of_each(v, [](__m256 a, __m256 b) { return _mm256_max_ps(a, b); });
  }

  static void store_ranges(Floats lo, Floats hi, Range* out) {
    const __m256 ends[2] = {_mm256_unpacklo_ps(lo, hi), _mm256_unpackhi_ps(lo, hi)};
    const __m256 zero = _mm256_setzero_ps();
    for (int k = 0; k < 4; ++k) {
      const __m256 two =
          k % 2 == 0 ? _mm256_shuffle_ps(ends[k / 2], zero, 0x44) : _mm256_shuffle_ps(ends[k / 2], zero, 0x4e);
      _mm_storeu_ps(&out[k].lo, _mm256_castps256_ps128(two));
      _mm_storeu_ps(&out[k + 4].lo, _mm256_extractf128_ps(two, 1));
    }
  }

  // The second operand is what the instruction returns if one is NaN.
  static Floats max_magnitude(Floats v, Floats known) { return _mm256_max_ps(xsimd::abs(v), known); }

  static Uints select_bits(Uints mask, Uints a, Uints b) {
    return _mm256_xor_si256(b, _mm256_and_si256(mask, _mm256_xor_si256(a, b)));
  }

  struct NanWatch {
    __m256 unordered = _mm256_setzero_ps();
    void add(Floats a, Floats b) { unordered = _mm256_or_ps(unordered, _mm256_cmp_ps(a, b, _CMP_UNORD_Q)); }
    bool any() const { return _mm256_movemask_ps(unordered) != 0; }
  };

  static std::uint32_t crc32(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) {
    return X86Crc32<Avx2>::update(crc, bytes, n);
  }

 private:
  static __m128i load_8_bytes(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
  static __m128i load_16_bytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static void store_16_bytes(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

  template <class Pick>
  static __m256 of_each(Floats (&v)[8], Pick pick) {
    __m256 fours[2];
    for (int k = 0; k < 2; ++k) {
      const __m256 ab = pick(_mm256_unpacklo_ps(v[4 * k], v[4 * k + 1]), _mm256_unpackhi_ps(v[4 * k], v[4 * k + 1]));
      const __m256 cd =
          pick(_mm256_unpacklo_ps(v[4 * k + 2], v[4 * k + 3]), _mm256_unpackhi_ps(v[4 * k + 2], v[4 * k + 3]));
      fours[k] = pick(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    }
    return pick(_mm256_permute2f128_ps(fours[0], fours[1], 0x20), _mm256_permute2f128_ps(fours[0], fours[1], 0x31));
  }
};

}  // namespace
}  // namespace mq::kernels
