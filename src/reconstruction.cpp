#include "src/reconstruction.hpp"

#include "src/active_table.hpp"
#include "src/codecs/levels.hpp"

namespace mq {

const float* Reconstruction::values(const kernels::SearchBlocks& blocks, const float* scale, const float* zero_point) {
  const kernels::KernelTable& k = active_table();
  const std::size_t rows = blocks.rows, run = blocks.run;
  codes_.resize(rows * run);
  values_.resize(rows * run);
  if (const LevelFormat* format = level_format(spec_)) {
    k.quantize_levels(format->levels, blocks.x, rows, run, scale, codes_.data());
    k.dequantize_levels(format->levels, codes_.data(), rows, run, scale, values_.data());
  } else if (!spec_.is_integer()) {
    const bool e4m3 = spec_.element == DType::Float8E4M3FN;
    (e4m3 ? k.quantize_e4m3 : k.quantize_e5m2)(blocks.x, rows, run, scale, codes_.data());
    (e4m3 ? k.dequantize_e4m3 : k.dequantize_e5m2)(codes_.data(), rows, run, scale, values_.data());
  } else {
    inverse_.resize(rows);
    for (std::size_t r = 0; r < rows; ++r) inverse_[r] = 1.0f / scale[r];
    k.quantize_8(blocks.x, rows, run, inverse_.data(), zero_point, rule_.code_min(), rule_.code_max(), codes_.data());
    if (spec_.element == DType::Int8) {
      k.dequantize_i8(reinterpret_cast<const std::int8_t*>(codes_.data()), rows, run, scale, zero_point,
                      values_.data());
    } else {
      k.dequantize_u8(codes_.data(), rows, run, scale, zero_point, values_.data());
    }
  }
  return values_.data();
}

}  // namespace mq
