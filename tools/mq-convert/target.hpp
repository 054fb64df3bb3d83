// Where a conversion writes, and as what.
#pragma once

#include <filesystem>
#include <string>

#include "mq/checkpoint.hpp"
#include "tools/mq-convert/options.hpp"

namespace mq::tool {

struct Target {
  std::filesystem::path path;
  std::string format;  // of create_checkpoint
};

// The container follows --to, else the suffix of OUT, else the recipe, else it is a directory. Without OUT (a dry run)
// it is what the recipe says, else a file for a file and a directory for a directory. Throws: Io for an OUT that exists
// and may not be replaced, Usage for a suffix that names no container, for a container that cannot be written, and for
// an OUT that is the input, lies in it or contains it.
Target choose_target(const Options& options, const Checkpoint& input);

}  // namespace mq::tool
