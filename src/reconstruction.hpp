// What weights become with given scales: coded and decoded again, for searches that compare errors.
#pragma once

#include <vector>

#include "kernels/kernel_table.hpp"
#include "mq/quant_spec.hpp"
#include "src/qparams.hpp"

namespace mq {

// Of encodings with a scale for each run: integers, 4-bit levels, 8-bit floats.
class Reconstruction {
 public:
  explicit Reconstruction(const QuantSpec& spec) : spec_(spec), rule_(spec) {}

  // The values of all runs, until the next call. zero_point is of integers only.
  const float* values(const kernels::SearchBlocks& blocks, const float* scale, const float* zero_point);

 private:
  QuantSpec spec_;
  ParamRule rule_;
  std::vector<float> inverse_, values_;
  std::vector<std::uint8_t> codes_;
};

}  // namespace mq
