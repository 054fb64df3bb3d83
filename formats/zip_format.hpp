// Checkpoints that are zip archives: which kind an archive is follows from the names of its records. The directory is
// read once and handed to the reader of that kind.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "formats/zip.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// One kind. Each is the end of one .cpp; zip_formats.cpp lists them.
struct ZipFormat {
  std::string_view name;   // "torch_zip"
  std::string_view title;  // for people: "PyTorch checkpoint"
  bool (*matches)(const ZipArchive& archive);
  std::unique_ptr<Checkpoint> (*open)(const std::filesystem::path& path, ZipArchive archive,
                                      const OpenOptions& options);
};

extern const ZipFormat kTorchScript;
extern const ZipFormat kTorchExport;
extern const ZipFormat kTorchSave;
extern const ZipFormat kNpz;

// In the order in which matches() is asked.
std::span<const ZipFormat* const> zip_formats() noexcept;

// "model/" if the first record is "model/data.pkl"; empty if it lies in no folder.
std::string_view root_folder(const ZipArchive& archive) noexcept;

// The record called name in the root folder, or null.
const ZipRecord* find_in_root(const ZipArchive& archive, std::string_view name);

}  // namespace mq::formats
