// A checkpoint whose layers have the normalizations after them in their weights and biases (mq/fold.hpp): the values
// are computed as they are read.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq {

// What one fold does to a channel.
struct FoldedChannels {
  std::vector<float> mean, rsqrt, gamma, beta;

  float factor(std::size_t c) const { return gamma[c] * rsqrt[c]; }
  float bias(std::size_t c, float before) const { return (before - mean[c]) * rsqrt[c] * gamma[c] + beta[c]; }
};

// A tensor of the folded checkpoint.
struct FoldedTensor {
  enum class What { Itself, Weight, Bias };
  What what = What::Itself;
  std::optional<std::size_t> original;  // none: a bias that the layer did not have
  std::size_t fold = 0;
};

// `folded` says of each of `tensors` what it is, `channels` what each fold does. Tensors that are folded are of
// float32, float16 or bfloat16.
std::unique_ptr<Checkpoint> make_folded_checkpoint(std::unique_ptr<Checkpoint> original,
                                                   std::vector<TensorInfo> tensors, std::vector<FoldedTensor> folded,
                                                   std::vector<FoldedChannels> channels, std::vector<LeftOut> left_out);

}  // namespace mq
