// The architectures of which a GGUF file can be made from a Hugging Face model: what llama.cpp calls their tensors, and
// which numbers of config.json it asks for.
// Source: ggml-org/llama.cpp, convert_hf_to_gguf.py, gguf-py/gguf/tensor_mapping.py.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mq/gguf.hpp"
#include "src/gguf/hf_files.hpp"

namespace mq::gguf {

struct Architecture {
  std::string_view model_type;  // of config.json
  std::string_view name;        // llama.cpp's
  bool interleaves = false;     // the rows of queries and keys
  bool full_heads = false;      // together as wide as the model: llama.cpp asks for no other size
};

// Null if it is none of them. `known` lists the model types there are.
const Architecture* find_architecture(std::string_view model_type) noexcept;
std::string known_model_types();

struct HeadCounts {
  std::int64_t heads = 0, kv_heads = 0;
};
// Throws: Usage.
HeadCounts head_counts(const HfObject& config);

// llama.cpp's name; empty for a tensor that no such model has.
std::string gguf_name(std::string_view name);
// The heads of a query or key weight of that name; 0 for others.
std::int32_t heads_of(std::string_view name, const HeadCounts& counts);

// The numbers of a model of such an architecture.
struct ModelNumbers : HeadCounts {
  std::int64_t blocks = 0, head_dim = 0, vocab_size = 0;
};
// Appends the key-values, and the constants that stand for what is no key-value. Throws: Usage.
ModelNumbers add_model_values(const Architecture& architecture, const HfObject& config, GgufModel& model);

// Fills GgufModel::tensors. Throws: Usage naming a tensor that the architecture does not have, one that is missing, or
// one whose rows are not those of its heads.
void name_tensors(const Architecture& architecture, const ModelNumbers& numbers, bool tied, const Source& source,
                  GgufModel& model);

}  // namespace mq::gguf
