// Batch normalizations that become part of the layers before them, as programs that only infer want it. Thread-safe.
//
// A normalization of inference is a factor and an offset for every channel, so that the layer before it can have them
// in its weight and bias:
//
//   r = 1 / sqrt(running_var + eps)
//   weight[c, ...] * (gamma[c] * r[c])          (bias[c] - running_mean[c]) * r[c] * gamma[c] + beta[c]
//
// in float32 and in this order, which is PyTorch's (torch.nn.utils.fusion.fuse_conv_bn_weights): equal bit for bit. The
// layer keeps its type: of float16 and bfloat16, what float32 gives is rounded once, to nearest even, which is what
// PyTorch gives where the normalization is of float32. A missing bias is 0, a missing gamma 1, a missing beta 0. What
// follows the normalization (ReLU) does not matter.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/recipe.hpp"

namespace mq {

// The checkpoint with every fold done: the layer's weight changed, its bias made if there was none, the tensors of the
// normalization named in left_out(). Values are computed as they are read; the parameters of all normalizations are
// held. Without folds, the checkpoint itself.
// Throws: Usage naming layer or normalization: tensors that are missing, not of 16 or 32 bits, or of shapes that do not
// fit (channels are the first dimension of the weight), an eps that is not given, a layer or normalization in two
// folds, weights that other names share. Numeric for a variance that cannot be; from reads, for values that float16
// would make infinite. Io, Corrupt.
std::unique_ptr<Checkpoint> fold_batch_norms(std::unique_ptr<Checkpoint> checkpoint,
                                             std::span<const BatchNormFold> folds);

// The folds that follow from names and shapes, with this eps: for "a.bn1" the convolution "a.conv1", for "a.4" of a
// sequence "a.3", if it has as many output channels as the normalization, and, since a normalization may also come
// before the convolution that is called like it, another number of inputs. `known` are those already decided.
// Throws: Usage naming every normalization of which this does not say what it belongs to.
std::vector<BatchNormFold> find_batch_norm_folds(const Checkpoint& checkpoint, double eps,
                                                 std::span<const BatchNormFold> known = {});

}  // namespace mq
