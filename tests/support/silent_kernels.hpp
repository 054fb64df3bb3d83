// Kernels that do nothing, in place of all of a table.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "kernels/matmul_table.hpp"

namespace mq::test {

template <class F>
struct Silent;
template <class R, class... A>
struct Silent<R (*)(A...) noexcept> {
  static R call(A...) noexcept { return R(); }
};

template <class Table>
class Silencer {
 public:
  explicit Silencer(Table& table) : table_(table) {}

  template <class F>
  Silencer& operator()(const char* name, F Table::*kernel) {
    table_.*kernel = &Silent<F>::call;
    names_.emplace_back(name);
    return *this;
  }
  std::vector<std::string> names() const { return names_; }

 private:
  Table& table_;
  std::vector<std::string> names_;
};

// The names of the kernels.
inline std::vector<std::string> silence_all(kernels::KernelTable& table) {
  using T = kernels::KernelTable;
  return Silencer<T>(table)("range", &T::range)("quantize_8", &T::quantize_8)("quantize_4", &T::quantize_4)(
             "quantize_8_measured", &T::quantize_8_measured)("quantize_4_measured", &T::quantize_4_measured)(
             "range_halves", &T::range_halves)("quantize_8_halves", &T::quantize_8_halves)(
             "quantize_4_halves", &T::quantize_4_halves)("search_affine", &T::search_affine)(
             "choose_scale", &T::choose_scale)("search_min", &T::search_min)("choose_candidate", &T::choose_candidate)(
             "dequantize_i8", &T::dequantize_i8)("dequantize_u8", &T::dequantize_u8)("dequantize_4", &T::dequantize_4)(
             "quantize_e4m3", &T::quantize_e4m3)("quantize_e5m2", &T::quantize_e5m2)(
             "dequantize_e4m3", &T::dequantize_e4m3)("dequantize_e5m2", &T::dequantize_e5m2)(
             "quantize_levels", &T::quantize_levels)("dequantize_levels", &T::dequantize_levels)(
             "f16_to_f32", &T::f16_to_f32)("bf16_to_f32", &T::bf16_to_f32)("e4m3_to_f32", &T::e4m3_to_f32)(
             "e5m2_to_f32", &T::e5m2_to_f32)("f32_to_f16", &T::f32_to_f16)("f32_to_bf16", &T::f32_to_bf16)(
             "f32_to_e4m3", &T::f32_to_e4m3)("f32_to_e5m2", &T::f32_to_e5m2)("pack_4", &T::pack_4)(
             "unpack_4", &T::unpack_4)("error_sums", &T::error_sums)("crc32", &T::crc32)("xxh3_128", &T::xxh3_128)
      .names();
}

inline std::vector<std::string> silence_all(kernels::MatmulTable& table) {
  using T = kernels::MatmulTable;
  return Silencer<T>(table)("pack_codes", &T::pack_codes)("pack_floats", &T::pack_floats)("multiply_8", &T::multiply_8)(
             "multiply_4", &T::multiply_4)("multiply_float", &T::multiply_float)(
             "multiply_float_8", &T::multiply_float_8)("multiply_float_4", &T::multiply_float_4)(
             "expand_4", &T::expand_4)("floats_of_8", &T::floats_of_8)("floats_of_4", &T::floats_of_4)
      .names();
}

}  // namespace mq::test
