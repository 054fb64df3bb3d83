// 128-bit vectors of AArch64's baseline. Included by neon.cpp alone.
#pragma once

#include <arm_neon.h>

#include <cstring>

#include "kernels/lanes.hpp"

namespace mq::kernels {
namespace {

struct Neon {
  // xsimd 8 takes no architecture derived from this one; the whole program may run what is instantiated for it.
  using Arch = xsimd::neon64;
  using Floats = xsimd::batch<float, Arch>;
  using Ints = xsimd::batch<std::int32_t, Arch>;
  using Uints = xsimd::batch<std::uint32_t, Arch>;
  using Words = xsimd::batch<std::int16_t, Arch>;
  using Bytes = xsimd::batch<std::uint8_t, Arch>;
  using SignedBytes = xsimd::batch<std::int8_t, Arch>;

  static Ints widen(const std::uint8_t* p) {
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(load_4_bytes(p)))));
  }
  static Ints widen(const std::int8_t* p) {
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_4_bytes(p)))));
  }
  static Uints widen(const std::uint16_t* p) { return vmovl_u16(vld1_u16(p)); }

  static Ints widen_nibbles(const std::uint8_t* p) {
    const std::int32_t right[4] = {0, -4, -8, -12};
    const auto four = static_cast<std::uint32_t>(p[0] | p[1] << 8);
    const uint32x4_t spread = vshlq_u32(vdupq_n_u32(four), vld1q_s32(right));
    return vreinterpretq_s32_u32(vandq_u32(spread, vdupq_n_u32(15)));
  }

  static Words narrow(Ints a, Ints b) { return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)); }
  static SignedBytes narrow_signed(Words a, Words b) { return vcombine_s8(vqmovn_s16(a), vqmovn_s16(b)); }
  static Bytes narrow_unsigned(Words a, Words b) { return vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)); }
  static Bytes in_order(Bytes q) { return q; }

  static void store_nibbles(Bytes q, std::uint8_t* p) {
    const uint8x16_t low = vuzp1q_u8(q, q);
    const uint8x16_t high = vuzp2q_u8(q, q);
    vst1_u8(p, vget_low_u8(vorrq_u8(low, vshlq_n_u8(high, 4))));
  }

  static void unpack_nibbles(const std::uint8_t* p, std::uint8_t* codes) {
    const uint8x8_t packed = vld1_u8(p);
    vst2_u8(codes, (uint8x8x2_t{{vand_u8(packed, vdup_n_u8(15)), vshr_n_u8(packed, 4)}}));
  }

  static void store_upper_halves(Uints a, Uints b, std::uint16_t* p) {
    vst1q_u16(p, vcombine_u16(vshrn_n_u32(a, 16), vshrn_n_u32(b, 16)));
  }

  static Floats from_f16(const std::uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static void store_f16(Floats v, std::uint16_t* p) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }

  static Floats from_e5m2(const std::uint8_t* p) {
    const uint16x4_t words = vget_low_u16(vshll_n_u8(load_4_bytes(p), 8));
    return vcvt_f32_f16(vreinterpret_f16_u16(words));
  }
  // The exponent of E4M3 goes to the low end of f16's, which is 2^8 less. Widening with the sign leaves it in bit 8 as
  // well, from where the shift takes it to bit 15. Only for a NaN, all ones, does the addition reach bit 14.
  static Floats from_e4m3_scaled(const std::uint8_t* p) {
    const int16x4_t words = vget_low_s16(vshll_n_s8(vreinterpret_s8_u8(load_4_bytes(p)), 7));
    const uint16x4_t number = vand_u16(vreinterpret_u16_s16(words), vdup_n_u16(0xbfff));
    const uint16x4_t nan = vand_u16(vadd_u16(number, vdup_n_u16(0x80)), vdup_n_u16(0x4000));
    return vcvt_f32_f16(vreinterpret_f16_u16(vorr_u16(number, nan)));
  }

  // xsimd's division is an estimate on this architecture.
  static Floats divide(Floats a, Floats b) { return vdivq_f32(a, b); }
  static Floats fused(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }

  static void transpose(Floats (&v)[4]) {
    const float32x4x2_t even = vuzpq_f32(vcombine_f32(vget_low_f32(v[0]), vget_low_f32(v[1])),
                                         vcombine_f32(vget_low_f32(v[2]), vget_low_f32(v[3])));
    const float32x4x2_t odd = vuzpq_f32(vcombine_f32(vget_high_f32(v[0]), vget_high_f32(v[1])),
                                        vcombine_f32(vget_high_f32(v[2]), vget_high_f32(v[3])));
    v[0] = even.val[0];
    v[1] = even.val[1];
    v[2] = odd.val[0];
    v[3] = odd.val[1];
  }

  static float least(Floats v) { return vminvq_f32(v); }
  static float largest(Floats v) { return vmaxvq_f32(v); }
  static float tree_sum(Floats v) { return vpadds_f32(vadd_f32(vget_low_f32(v), vget_high_f32(v))); }
  static Floats min_of_each(Floats (&v)[4]) { return vpminq_f32(vpminq_f32(v[0], v[1]), vpminq_f32(v[2], v[3])); }
  static Floats max_of_each(Floats (&v)[4]) { return vpmaxq_f32(vpmaxq_f32(v[0], v[1]), vpmaxq_f32(v[2], v[3])); }

  static void store_ranges(Floats lo, Floats hi, Range* out) {
    const float32x4_t ends[2] = {vzip1q_f32(lo, hi), vzip2q_f32(lo, hi)};
    for (int k = 0; k < 2; ++k) {
      vst1q_f32(&out[2 * k].lo, vcombine_f32(vget_low_f32(ends[k]), vdup_n_f32(0)));
      vst1q_f32(&out[2 * k + 1].lo, vcombine_f32(vget_high_f32(ends[k]), vdup_n_f32(0)));
    }
  }

  static Floats max_magnitude(Floats v, Floats known) { return vmaxnmq_f32(xsimd::abs(v), known); }

  static Uints select_bits(Uints mask, Uints a, Uints b) { return vbslq_u32(mask, a, b); }

  struct NanWatch {
    uint32x4_t ordered = vdupq_n_u32(~0u);
    void add(Floats a, Floats b) { ordered = vandq_u32(ordered, vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
    bool any() const { return vminvq_u32(ordered) == 0; }
  };

 private:
  static uint8x8_t load_4_bytes(const void* p) {
    std::uint32_t four;
    std::memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
  }
};

}  // namespace
}  // namespace mq::kernels
