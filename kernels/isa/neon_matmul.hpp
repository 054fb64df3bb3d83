// What the products need of AArch64's baseline. The products of bytes are left to what is made of it: they are of
// signed bytes, so that codes of 8 bits count less 128.
#pragma once

#include <arm_neon.h>

#include "kernels/matmul.hpp"

namespace mq::kernels {
namespace {

struct NeonVectors {
  using Ints = int32x4_t;
  using Floats = float32x4_t;
  using Codes = int8x16_t;
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kGroupPanels = 1;
  static constexpr std::int32_t kCodeBias8 = 128;

  static Codes codes(const std::uint8_t* p) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(0x80))); }
  static void nibbles(const std::uint8_t* p, Codes& first, Codes& second) {
    const uint8x16_t both = vld1q_u8(p);
    first = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
    second = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
  }

  static Ints each(std::int32_t v) { return vdupq_n_s32(v); }
  static Ints add(Ints a, Ints b) { return vaddq_s32(a, b); }
  static Ints multiply(Ints a, Ints b) { return vmulq_s32(a, b); }
  static Ints load(const std::int32_t* p) { return vld1q_s32(p); }
  static Ints widen(const std::uint8_t* p) {
    std::uint32_t four;
    __builtin_memcpy(&four, p, 4);
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
  }
  static Ints words(const std::uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
  template <int kShift, int kMask>
  static Floats lifted(Ints words) {
    uint32x4_t v = vreinterpretq_u32_s32(words);
    if constexpr (kShift != 0) v = vshrq_n_u32(v, kShift);
    return vreinterpretq_f32_u32(vorrq_u32(vandq_u32(v, vdupq_n_u32(kMask)), vdupq_n_u32(0x4b000000)));
  }

  static Ints factor(Ints v) { return v; }
  static Ints less_multiple(Ints sum, Ints factor, std::int32_t s) { return vmlsq_n_s32(sum, factor, s); }

  static Floats to_float(Ints v) { return vcvtq_f32_s32(v); }
  static Floats each(float v) { return vdupq_n_f32(v); }
  static Floats load(const float* p) { return vld1q_f32(p); }
  static void store(Floats v, float* p) { vst1q_f32(p, v); }
  static Floats fused(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats multiply(Floats a, Floats b) { return vmulq_f32(a, b); }

  using Quad = int8x16_t;
  static Quad quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
};

}  // namespace
}  // namespace mq::kernels
