// ComfyUI, the layout of single files of diffusion models. For a weight NAME ("….weight") [out, in] of a module M, M
// without the model's prefix or with it, as the file has it:
//
//   M.comfy_quant     U8  [n]      JSON: "format", and what else a writer notes
//   float8_e4m3fn (float8_e5m2)
//     NAME            F8  [out, in]
//     M.weight_scale  F32 []
//   int8_tensorwise
//     NAME            I8  [out, in]
//     M.weight_scale  F32 []; [out, 1] for channels
//   nvfp4             out a multiple of 16
//     NAME            U8  [out, in/2]   two codes a byte, the first in the high half
//     M.weight_scale  F8  [out to 128, in/16 to 4]   in tiles (PartForm::Packing::Tiles)
//     M.weight_scale_2 F32 []           one over the global scale of codecs/nvfp4.cpp
//
// Read only: the same said in the file's metadata, and scaled FP8 of 2024 (a tensor "scaled_fp8", M.scale_weight).
//
// Source: ComfyUI's quant_ops and ops modules, comfy-kitchen's tensor layouts.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kComfyUi;

namespace comfyui {

// Metadata that holds markers: a JSON object with "layers".
inline constexpr std::string_view kMetadataKey = "_quantization_metadata";

// Name of the marker's format; empty for encodings that have none.
std::string_view format_of(const QuantSpec& spec);

// Scales of 16 weights padded to whole tiles.
Shape tiled_scale_shape(const Shape& weight);

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

}  // namespace comfyui

}  // namespace mq
