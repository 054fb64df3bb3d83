// A layer of a checkpoint with quantized weights, found by its name.
#pragma once

#include <string_view>

#include "mq/checkpoint.hpp"
#include "mq/module.hpp"
#include "mq/quantize.hpp"
#include "mq/source.hpp"

namespace mq::detail {

struct ModuleParts {
  QuantizedTensor weights;
  ModuleOptions options;
};

// The weights, and the options with what was empty in them and the checkpoint knows: bias, activations.
// Throws: Usage if there is no such layer or it is not quantized, Unsupported for static activations other than
// integers of 8 bits, Corrupt, Io.
ModuleParts load_module(const Checkpoint& checkpoint, std::string_view name, ModuleOptions options);

// The weight of a layer: called so, or "NAME.weight", or as PyTorch's packed modules call theirs.
// Throws: Usage if there is none.
const LogicalTensor& find_module_weight(const Checkpoint& checkpoint, const Source& source, std::string_view name);

}  // namespace mq::detail
