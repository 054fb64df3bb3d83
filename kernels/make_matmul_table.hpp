// The one list of the products' operations.
#pragma once

#include "kernels/matmul_table.hpp"

namespace mq::kernels {

template <class Ops>
constexpr MatmulTable make_matmul_table(const char* name, std::uint32_t required_features) {
  return {
      .name = name,
      .required_features = required_features,
      .tile_rows = Ops::kTileRows,
      .group_panels = Ops::kGroupPanels,
      .code_bias_8 = Ops::kCodeBias8,
      .pack_codes = &Ops::pack_codes,
      .pack_floats = &Ops::pack_floats,
      .multiply_8 = &Ops::multiply_8,
      .multiply_4 = &Ops::multiply_4,
      .multiply_float = &Ops::multiply_float,
      .multiply_float_8 = &Ops::multiply_float_8,
      .multiply_float_4 = &Ops::multiply_float_4,
      .expand_4 = &Ops::expand_4,
      .floats_of_8 = &Ops::floats_of_8,
      .floats_of_4 = &Ops::floats_of_4,
  };
}

}  // namespace mq::kernels
