// Checkpoints of random weights for the benchmarks of conversion.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "mq/recipe.hpp"

namespace mq::bench {

// A language model of about so many MiB of fp16 in linear layers of [5376, 4096], as a safetensors file, and the same
// tensors as torch.save writes them today.
void make_safetensors(const std::filesystem::path& path, std::int64_t mebibytes);
void make_torch_zip(const std::filesystem::path& path, std::int64_t mebibytes);

// The same model with nothing but zeros that occupy no disk: a sparse file of any size.
void make_sparse(const std::filesystem::path& path, std::int64_t mebibytes);

// A folder of `quantized` linear layers of [16, 64] and ten times as many norms of 16, fp32, in `shards` files.
void make_many(const std::filesystem::path& folder, std::int64_t quantized, std::int64_t kept, std::int64_t shards);

// Sets scheme and effort from "SPEC[,fast|,search|,max]"; search if nothing is said.
// Throws: Usage.
void set_encoding(Recipe& recipe, std::string_view text);

}  // namespace mq::bench
