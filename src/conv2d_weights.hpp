// Weights of a convolution as its products read them.
#pragma once

#include <cstdint>
#include <vector>

#include "mq/matmul.hpp"
#include "mq/quantized_conv2d.hpp"

namespace mq::detail {

// Integers less their zero points and one scale for each output: what outputs that share few inputs with others are
// summed from, without packing.
struct DirectWeights {
  std::vector<std::int16_t> codes;  // [out][k]
  std::vector<float> scales;        // [out]
};

struct Conv2dWeights {
  std::int64_t out = 0;
  std::int64_t in_per_group = 0;
  std::int64_t kernel_height = 0;
  std::int64_t kernel_width = 0;
  std::int64_t groups = 1;
  std::vector<PackedWeights> packed;  // one for each group; or else
  DirectWeights direct;

  std::int64_t k() const { return in_per_group * kernel_height * kernel_width; }
  std::int64_t out_per_group() const { return out / groups; }
  bool is_direct() const { return packed.empty(); }
};

// Throws: Usage for a shape that is not [out, in / groups, height, width] without zeros, groups that do not divide the
// outputs, and, for several groups, an encoding whose outputs cannot be told apart.
Conv2dWeights prepare_conv2d(const QuantizedTensor& weights, std::int64_t groups);

}  // namespace mq::detail
