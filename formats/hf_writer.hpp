// Writer of a Hugging Face model directory: safetensors shards, their index, and the files beside them.
#pragma once

#include <filesystem>
#include <memory>

#include "mq/checkpoint.hpp"

namespace mq::formats {

// Tensors go into the files that TensorInfo::file names; if that is one file (or none is named) it is called
// model.safetensors and needs no index.
// Throws: Io if path exists and may not be replaced; a directory is replaced only if it is empty or holds weights.
std::unique_ptr<CheckpointWriter> create_hf_directory(const std::filesystem::path& path, const CreateOptions& options);

// Bytes of all files of such a directory but for texts that are added later.
// Throws: Usage as CheckpointWriter::begin does.
std::int64_t hf_directory_bytes(const Layout& layout);

}  // namespace mq::formats
