// Where everything lies in a safetensors file that is about to be written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::formats {

struct SafetensorsLayout {
  std::string header;                  // the bytes before the data: length, JSON, padding
  std::vector<std::uint64_t> offsets;  // in the file, of the tensors in the order given
  std::uint64_t size_bytes = 0;        // of the whole file
};

// The file that holds the tensors given, ordered so that each is aligned to its element: wider types first, then by
// name. `path` names the file in errors.
// Throws: Usage for what the format cannot hold (a dtype, a name or metadata that is not UTF-8, a name twice), Limit (a
// name or the header is too long).
SafetensorsLayout lay_out_safetensors(std::span<const TensorInfo* const> tensors, const Metadata& metadata,
                                      const Limits& limits, const std::filesystem::path& path);

}  // namespace mq::formats
