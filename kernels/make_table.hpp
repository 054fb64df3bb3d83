// The one list of the operations.
#pragma once

#include "kernels/kernel_table.hpp"

namespace mq::kernels {

template <class Ops>
constexpr KernelTable make_table(const char* name, std::uint32_t required_features) {
  return {
      .name = name,
      .required_features = required_features,
      .range = &Ops::range,
      .quantize_8 = &Ops::quantize_8,
      .quantize_4 = &Ops::quantize_4,
      .quantize_8_measured = &Ops::quantize_8_measured,
      .quantize_4_measured = &Ops::quantize_4_measured,
      .range_halves = &Ops::range_halves,
      .quantize_8_halves = &Ops::quantize_8_halves,
      .quantize_4_halves = &Ops::quantize_4_halves,
      .search_affine = &Ops::search_affine,
      .choose_scale = &Ops::choose_scale,
      .search_min = &Ops::search_min,
      .choose_candidate = &Ops::choose_candidate,
      .dequantize_i8 = &Ops::dequantize_i8,
      .dequantize_u8 = &Ops::dequantize_u8,
      .dequantize_4 = &Ops::dequantize_4,
      .quantize_e4m3 = &Ops::quantize_e4m3,
      .quantize_e5m2 = &Ops::quantize_e5m2,
      .dequantize_e4m3 = &Ops::dequantize_e4m3,
      .dequantize_e5m2 = &Ops::dequantize_e5m2,
      .quantize_levels = &Ops::quantize_levels,
      .dequantize_levels = &Ops::dequantize_levels,
      .f16_to_f32 = &Ops::f16_to_f32,
      .bf16_to_f32 = &Ops::bf16_to_f32,
      .e4m3_to_f32 = &Ops::e4m3_to_f32,
      .e5m2_to_f32 = &Ops::e5m2_to_f32,
      .f32_to_f16 = &Ops::f32_to_f16,
      .f32_to_bf16 = &Ops::f32_to_bf16,
      .f32_to_e4m3 = &Ops::f32_to_e4m3,
      .f32_to_e5m2 = &Ops::f32_to_e5m2,
      .pack_4 = &Ops::pack_4,
      .unpack_4 = &Ops::unpack_4,
      .error_sums = &Ops::error_sums,
      .crc32 = &Ops::crc32,
      .xxh3_128 = &Ops::xxh3_128,
  };
}

}  // namespace mq::kernels
