// GPTQ, the layout of AutoGPTQ and GPTQModel. For a weight M.weight [out, in] of b bits in groups of g columns:
//
//   M.qweight  I32 [in*b/32, out]     code + 2^(b-1): a bit stream down each column of the transpose, LSB first
//   M.qzeros   I32 [in/g, out*b/32]   zero points as the codes, a bit stream along each row; "gptq" stores them less
//   one M.scales   float [in/g, out] M.g_idx    I32 [in]               the group of each column: i/g, unless columns
//   were quantized in another order
//
// One scale per channel is a group as long as the row (group_size -1). Symmetric weights have zero points too, all of
// them 2^(b-1). A zero point of 0 less one does not fit, and writers let it borrow from its neighbour: "gptq" holds
// symmetric weights only here; "gptq_v2", which stores zero points as they are, holds all.
//
// Source: GPTQModel's packing and dequantization modules.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kGptq;
extern const Dialect kGptqV2;

namespace gptq {

json::Value make_config(const Plan& plan);
json::Value make_config_v2(const Plan& plan);

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config);

}  // namespace gptq

}  // namespace mq
