// compressed-tensors, the layout of transformers and vLLM. For a weight NAME ("model.layers.0.mlp.up_proj.weight"):
//
//   pack-quantized    integers, weights only
//     NAME_packed      I32 [out.., ceil(in*bits/32)]   code + 2^(bits-1), bit stream per row, LSB first (mq/pack.hpp)
//     NAME_shape       I64 [rank]                      shape of the weight
//     NAME_zero_point  I32 [ceil(out*bits/32), groups] asymmetric only: packed the same way, but down each column;
//                      I8 [1] for a whole tensor
//   int-quantized     integers with quantized activations
//     NAME             I8  shape of the weight
//     NAME_zero_point  I8  shape of the scale
//   float-quantized   fp8
//     NAME             F8_E4M3 (F8_E5M2)
//   all of them
//     NAME_scale       tensor [1]; channel [out.., 1] ([1, channels] on other axes); group [out.., in/g]; block [down, across]
//
// Source: the compressed-tensors library's config, packing and initialization modules.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kCompressedTensors;

namespace compressed_tensors {

// "pack-quantized", "int-quantized" or "float-quantized".
std::string_view format_of(const QuantSpec& spec);

// Whether the standard fields say everything that is needed to read such a weight back.
bool is_standard(const Step& step, DType original);

// quantization_config of a plan's output.
json::Value make_config(const Plan& plan);

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

}  // namespace compressed_tensors

}  // namespace mq
