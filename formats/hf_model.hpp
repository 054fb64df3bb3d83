// A Hugging Face model directory, or the index of one: which of its files are the weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "mq/limits.hpp"

namespace mq::formats {

struct HfModel {
  std::filesystem::path folder;
  bool is_safetensors = true;       // by the names of its weights, else PyTorch
  std::string index;                // name of the index that lists the shards; empty if one file holds everything
  std::vector<std::string> shards;  // names of the files, sorted
  std::vector<std::pair<std::string, std::uint32_t>> weight_map;  // tensor and its shard, in the order of the index
};

enum class HfKind { None, Safetensors, Torch };

// What path is: a directory (one without weights counts as Safetensors), an index, or nothing of this sort.
// Throws: Io, and Corrupt for an index that is damaged.
HfKind hf_kind(const std::filesystem::path& path);

// Finds the weights. In a directory model.safetensors comes first, then its index, pytorch_model.bin and its index;
// without any of them, the one index or the one weight file there is.
// Throws: Io; Unsupported with the list of files if there are no weights or several candidates; Corrupt for a damaged
// index or one that names files outside its folder.
HfModel find_hf_model(const std::filesystem::path& path, const Limits& limits);

}  // namespace mq::formats
