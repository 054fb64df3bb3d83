// A linear layer with quantized weights: y = x W^T + bias. An immutable value: copies share the weights, and forward
// may be called from many threads, each with a workspace of its own. Source: torch.ao.nn.quantized.Linear,
// torch.ao.nn.quantized.dynamic.Linear.
#pragma once

#include <cstdint>
#include <string_view>

#include "mq/checkpoint.hpp"
#include "mq/matmul.hpp"
#include "mq/module.hpp"
#include "mq/quantize.hpp"

namespace mq {

class QuantizedLinear {
 public:
  // From weights [out, in], neither 0: of any encoding that mq/matmul.hpp takes, which is all of them.
  // Throws: Usage for another shape, a bias of another size, activations that do not exist, or static ones without
  // parameters; Numeric for a bias or parameters that are not finite.
  explicit QuantizedLinear(const QuantizedTensor& weights, ModuleOptions options = {});
  // The same from weights packed before, of which nothing is known of activations: empty options are floats.
  explicit QuantizedLinear(PackedWeights weights, ModuleOptions options = {});
  // The same from float weights, quantized as quantize() does. Throws: also as quantize() does.
  QuantizedLinear(TensorView weights, const QuantSpec& spec, ModuleOptions options = {});

  // The layer `name` ("model.layers.0.mlp.up_proj", or the name of its weight) of a checkpoint with quantized weights
  // in any layout that load_quantized reads, or of a state_dict of PyTorch's quantized Linear. Options that are empty
  // come from the checkpoint: the bias, the kind of activations, the parameters of static inputs. (PyTorch keeps those
  // of inputs with the module before, and of outputs as "NAME.scale" and "NAME.zero_point".)
  // Throws: also Usage if there is no such layer or it is not quantized, Unsupported for static activations other than
  // integers of 8 bits, Corrupt, Io.
  static QuantizedLinear load(const Checkpoint& checkpoint, std::string_view name, ModuleOptions options = {});

  std::int64_t in_features() const noexcept { return weights_.k(); }
  std::int64_t out_features() const noexcept { return weights_.n(); }
  const ModuleActivations& activations() const noexcept { return *options_.activations; }

  // x [rows, in], y [rows, out]; any number of rows.
  // Throws: Usage for sizes that do not agree, and codes where the module has none; Numeric for floats to be quantized
  // that are NaN or infinite.
  void forward(ModuleInput x, ModuleOutput y, const ForwardOptions& options = {}) const;

 private:
  PackedWeights weights_;
  ModuleOptions options_;  // activations are there
};

}  // namespace mq
