// Weights that runtimes join into one matrix: the projections of one input.
#pragma once

#include <string>
#include <string_view>

namespace mq {

// The name that the weights of a set have in common ("model.layers.0.self_attn.qkv.weight"); empty for a weight that
// belongs to none. The sets are those of vLLM and transformers: q, k and v; gate and up (also as w1 and w3).
std::string fused_set_of(std::string_view name);

// What vLLM calls the module that a module of this name becomes a part of ("qkv_proj" for "q_proj"); empty: none.
std::string_view fused_module_of(std::string_view leaf) noexcept;

}  // namespace mq
