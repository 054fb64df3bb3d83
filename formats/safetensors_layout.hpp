// Where everything lies in a safetensors file that is about to be written.
#pragma once

#include <filesystem>
#include <span>

#include "formats/file_writer.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// The file that holds the tensors given, ordered so that each is aligned to its element: wider types first, then by
// name. `path` names the file in errors.
// Throws: Usage for what the format cannot hold (a dtype, a name or metadata that is not UTF-8, a name twice), Limit (a
// name or the header is too long).
FileLayout lay_out_safetensors(std::span<const TensorInfo* const> tensors, const Metadata& metadata,
                               const Limits& limits, const std::filesystem::path& path);

}  // namespace mq::formats
