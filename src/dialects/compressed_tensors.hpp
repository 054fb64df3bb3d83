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
//   nvfp4-pack-quantized, mxfp4-pack-quantized   4-bit floats, two a byte, the first in the low half
//     NAME_packed        U8 [out, in/2]
//     NAME_global_scale  F32 [1]                      nvfp4: what scales are divided by
//     NAME_scale         F8_E4M3 [out, in/16]; mxfp4: U8 [out, in/32], exponents
//   mxfp8-quantized   8-bit floats
//     NAME               F8_E4M3
//     NAME_scale         U8 [out, in/32], exponents
//   all others
//     NAME_scale       tensor [1]; channel [out.., 1] ([1, channels] on other axes); group [out.., in/g]; block [down,
//     across]
//
//   activations of nvfp4: M.input_global_scale F32 [1]: 448 * 6 / absmax of what the module takes in
//   other static activations: M.input_scale of the scales' type [1]; asymmetric: M.input_zero_point I8 [1]
//     (M is NAME without ".weight")
//
// Source: the compressed-tensors library's config, packing and initialization modules.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kCompressedTensors;

namespace compressed_tensors {

// "pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized" or
// "mxfp8-quantized".
std::string_view format_of(const QuantSpec& spec);

// Whether the codes are 4-bit floats.
bool is_fp4(const QuantSpec& spec) noexcept;
// Whether the scales are of 8 bits, for 16 or 32 weights.
bool has_small_scales(const QuantSpec& spec) noexcept;

// Whether activations have a scale that is stored.
bool has_static_activation(const QuantSpec& spec) noexcept;

// Whether the standard fields say everything that is needed to read such a weight back.
bool is_standard(const Step& step, DType original);

// quantization_config of a plan's output.
json::Value make_config(const Plan& plan);

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

}  // namespace compressed_tensors

}  // namespace mq
