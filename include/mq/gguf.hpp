// What a GGUF file says of its model beside the weights: names, order of rows, key-values with the vocabulary. Plain
// values; thread-safe.
//
// A file for llama.cpp is more than its tensors: it has llama.cpp's names for them, and what Hugging Face keeps in
// config.json and in the files of the tokenizer. Models of an architecture that is not known here keep their names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/shared.hpp"
#include "mq/source.hpp"

namespace mq {

// What a tensor of the source is called in the file, and what else happens to it on its way.
struct GgufTensor {
  SharedString name;
  std::int32_t heads = 0;  // Transform::Kind::InterleaveHalves with so many heads; 0: rows in their order
  SharedString left_out;   // why it is not in the file; empty: it is
};

struct GgufModel {
  std::string architecture;  // "llama"; empty: not one that is known
  std::string own_names;     // why the tensors keep their names; empty if they get llama.cpp's
  std::int64_t blocks = 0;   // of the network
  std::int64_t heads = 0, kv_heads = 0;
  std::int64_t experts = 0;
  std::vector<GgufTensor> tensors;  // one for each of Source::tensors
  // Key-values of the file. Those that follow from the types of its tensors, general.file_type and
  // general.quantization_version, a plan makes anew.
  std::vector<StoredValue> values;
  std::vector<std::pair<std::string, std::vector<float>>> constants;  // tensors that no tensor of the source becomes
  std::vector<std::string> files;  // of the source's assets, those whose content is now in values
  std::vector<std::string> notes;
};

// The model that a checkpoint holds. A Hugging Face folder of a Llama-like model: from config.json and the files of its
// tokenizer. A GGUF file: as it says. With `like`, names, key-values and vocabulary are those of that GGUF file.
// Throws: Usage naming the file and the key that is missing or does not fit (also if `like` is of another model),
// Unsupported for a tokenizer that has no counterpart in GGUF, Corrupt, Io.
GgufModel gguf_model(const Checkpoint& checkpoint, const Source& source, const std::filesystem::path& like = {});

// The names of llama.cpp's mixes of types, for Recipe::mix: "q4_k_m".
std::span<const std::string_view> gguf_mixes() noexcept;

}  // namespace mq
