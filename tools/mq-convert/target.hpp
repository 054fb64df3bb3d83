// Where a conversion writes, and as what.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/convert.hpp"
#include "tools/mq-convert/options.hpp"

namespace mq::tool {

struct Target {
  std::filesystem::path path;
  std::string format;  // of create_checkpoint
};

// The container follows --to, else the suffix of OUT, else the recipe, else it is a directory. Without OUT (a dry run)
// it is what the recipe says, else a file for a file and a directory for a directory.
// Throws: Io for an OUT that exists and may not be replaced, Usage for a suffix that names no container, for a
// container that cannot be written, and for an OUT that is the input, lies in it or contains it.
Target choose_target(const Options& options, const Checkpoint& input);

// Runs a conversion. If it fails but has left what --resume goes on with, its error says so.
// Throws: what `conversion` throws.
Report run_or_say_how_to_continue(const Options& options, const Target& target,
                                  const std::function<Report()>& conversion);

// Everything that a conversion of the input reads.
std::vector<std::filesystem::path> files_of(const Checkpoint& input);

}  // namespace mq::tool
