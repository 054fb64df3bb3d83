// What the quantized modules have in common (mq/quantized_linear.hpp, mq/quantized_conv2d.hpp): how activations come in
// and go out. Plain values.
//
// Numerics contract, beside that of mq/matmul.hpp:
//   integer weights, quantized activations   y = fma(float(D), s, 0) * xs + bias, D the exact integer sum of
//                                            (q - z) * (xq - xz) over all inputs; groups of weights as mq/matmul.hpp
//   ReLU                                     max(y, 0)
//   static output                            yq = int(clamp(rne(y * (1/ys)) + yz, least, 255)), least 0, with a ReLU yz
// This is the arithmetic of PyTorch's quantized modules with oneDNN. Its other engines round the bias to an integer or
// multiply in another order: their codes are the same but where y * (1/ys) is within a few units in the last place of a
// tie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "mq/executor.hpp"
#include "mq/matmul.hpp"
#include "mq/observer.hpp"
#include "mq/quant_spec.hpp"

namespace mq {

// Of a tensor of unsigned 8-bit codes that share them (PyTorch's quint8): x = (q - zero_point) * scale, q in 0..255.
struct TensorQParams {
  float scale = 1;
  std::int32_t zero_point = 0;

  bool operator==(const TensorQParams&) const = default;
};

// Those of the encoding "uint8:tensor:asym" for values in the range.
// Throws: Numeric if it is not finite, Usage if it is upside down.
TensorQParams tensor_qparams(const Range& range);

// Activations as they are; only the weights are quantized.
struct FloatActivations {
  bool operator==(const FloatActivations&) const = default;
};

// Activations quantized by what is found in them, at every call; outputs are floats.
struct DynamicActivations {
  // Per token: one scale for each row of a Linear's input, for each image of a Conv2d's. Else one for all.
  // dynamic is not looked at.
  ActivationSpec how = {};
  // Codes of one bit less, as PyTorch's dynamic modules have them; int8 only.
  bool reduce_range = false;

  bool operator==(const DynamicActivations&) const = default;
};

// As PyTorch's dynamic Linear: quint8 per tensor with reduce_range, codes 0..127.
DynamicActivations pytorch_dynamic_activations();

// Activations quantized with parameters known beforehand, and outputs too if there are some for them.
struct StaticActivations {
  TensorQParams input = {};
  std::optional<TensorQParams> output = {};

  bool operator==(const StaticActivations&) const = default;
};

using ModuleActivations = std::variant<FloatActivations, DynamicActivations, StaticActivations>;

struct ModuleOptions {
  // Empty: what the spec of the weights says of activations, and for static ones the parameters that the checkpoint
  // holds.
  std::optional<ModuleActivations> activations = {};
  std::vector<float> bias = {};  // one for each output, or none
  bool relu = false;
};

// Floats; or codes, where activations are static. Row-major, borrowed for the call.
using ModuleInput = std::variant<std::span<const float>, std::span<const std::uint8_t>>;
// Floats; or codes, where there are parameters for them. With such parameters floats are the values of the codes.
using ModuleOutput = std::variant<std::span<float>, std::span<std::uint8_t>>;

struct ForwardOptions {
  Executor* executor = nullptr;          // null: the calling thread. The result does not depend on it.
  MatmulWorkspace* workspace = nullptr;  // scratch that is kept from call to call; null: memory for this call
};

}  // namespace mq
