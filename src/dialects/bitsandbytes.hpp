// bitsandbytes, the layout of transformers' load_in_4bit and load_in_8bit. For a weight NAME ("….weight") [out, in]:
//
//   4 bits (nf4, fp4), in blocks of 32 to 4096 of the flattened weight
//     NAME                                    U8  [out*in/2, 1]   two codes a byte, the first in the high half
//     NAME.absmax                             F32 [blocks]        scales; U8 where they are quantized themselves, with
//     NAME.nested_absmax                      F32 [blocks/256]    their scales
//     NAME.nested_quant_map                   F32 [256]           and levels (codecs/double_quant.hpp)
//     NAME.quant_map                          F32 [16]            the levels
//     NAME.quant_state.bitsandbytes__nf4      U8  [n]             JSON: type, block size, dtype, shape; nested_offset
//   8 bits
//     NAME                                    I8  [out, in]
//     M.SCB (NAME without "weight")           F32 [out]           absmax of each row: 127 times the scale
//     M.weight_format                         U8  []              0: rows
//
// Source: bitsandbytes' functional and nn modules.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kBitsAndBytes;

namespace bitsandbytes {

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

// The sixteen levels of nf4 or fp4, by stored code.
std::vector<std::byte> levels_of(const QuantSpec& spec);

// The scales of a weight whose scales are quantized themselves (PartForm::Value::Nested), of all its blocks.
// Throws: Corrupt.
std::vector<float> read_nested_scales(const Checkpoint& checkpoint, const LogicalTensor& tensor);

}  // namespace bitsandbytes

}  // namespace mq
