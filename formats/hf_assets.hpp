// The files of a model directory that are not its weights.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::formats {

struct HfAssets {
  std::vector<Asset> assets;      // sorted by name
  std::vector<LeftOut> left_out;  // weights in use are in neither list
};

// Every file of folder and its sub-folders. Left out are weight files and indexes (silently those of `in_use`, names at
// the top), hidden files and folders, links to folders, and what is no regular file. Links to files are followed.
// Throws: Io, Limit.
HfAssets collect_hf_assets(const std::filesystem::path& folder, std::span<const std::string> in_use);

}  // namespace mq::formats
