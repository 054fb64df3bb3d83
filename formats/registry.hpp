// The formats by name. Each is defined in the file named after it; registry.cpp lists them.
#pragma once

#include "formats/format.hpp"

namespace mq::formats {

extern const Format kGguf;
extern const Format kHfSafetensors;
extern const Format kHfTorch;
extern const Format kImatrix;
extern const Format kNpy;
extern const Format kSafetensors;
extern const Format kTorch;
extern const Format kTorchLegacy;
extern const Format kTorchTar;
extern const Format kZip;

// Opens one file by its content, never a directory or an index: the parts of a directory are opened with this.
// Throws: as open_checkpoint.
std::unique_ptr<Checkpoint> open_single_file(const std::filesystem::path& path, const OpenOptions& options);

// For formats that hold nothing but tensors.
// Throws: Usage if options ask for a part of the file.
void refuse_root(const std::filesystem::path& path, const OpenOptions& options);

}  // namespace mq::formats
