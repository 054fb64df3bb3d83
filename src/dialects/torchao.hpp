// torchao, its safetensors form, which transformers saves and loads. For a weight M.NAME ("….weight") [out, in]:
//
//   Int8Tensor                 integers of 8 bits, symmetric
//     M._NAME_qdata            I8  [out, in]
//     M._NAME_scale            F32 [out, 1]; [1, 1] for a whole tensor; [out, in/g] for groups
//   Float8Tensor               8-bit floats
//     M._NAME_qdata            F8_E4M3 (F8_E5M2) [out, in]
//     M._NAME_scale            F32, shaped as above
//   IntxUnpackedToInt8Tensor   integers of 2 to 8 bits, by channel or group
//     M._NAME_qdata            I8  [out, in]: a byte for each code
//     M._NAME_scale            float of the model's type [out, in/g]
//     M._NAME_zero_point       I8  [out, in/g]: 0 where they are symmetric
//
//   metadata: "M.NAME": {"_type": "Int8Tensor", "_data": {"block_size": [1, in], "dtype": …},
//                        "_tensor_data_names": ["qdata", "scale"]}
//             for every other tensor: {"_type": "Tensor"}; "tensor_names": the names of all
//
// Classes whose codes are packed for a kernel are refused by name.
//
// Source: torchao's prototype.safetensors, quantization.quantize_.workflows; transformers' TorchAoConfig.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kTorchAo;

namespace torchao {

inline constexpr std::string_view kTensorNames = "tensor_names";
inline constexpr std::string_view kInt8 = "Int8Tensor", kFloat8 = "Float8Tensor", kIntx = "IntxUnpackedToInt8Tensor";

// The class that holds an encoding; empty if none does.
std::string_view class_of(const QuantSpec& spec);

// "M._NAME_" for "M.NAME".
std::string part_prefix(std::string_view name);

// Whether an entry of a checkpoint's metadata describes tensors as above.
bool is_description(std::string_view key, const MetadataValue& value);

// The entries for a plan's output, and its quantization_config.
Metadata describe(const Plan& plan);
json::Value make_config(const Plan& plan);

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

}  // namespace torchao

}  // namespace mq
