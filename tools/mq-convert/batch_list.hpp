// The list of `mq-convert batch`: one model per line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mq::tool {

struct BatchItem {
  std::size_t line = 0;  // in the list, from 1
  std::filesystem::path input;
  std::string output;            // its name in the output folder; empty: made from the input's
  std::filesystem::path recipe;  // of this model alone, over that of the command line; empty: none

  bool operator==(const BatchItem&) const = default;
};

// A line is INPUT, INPUT<tab>OUTPUT or a JSON object {"input": ..., "output": ..., "recipe": ...} of which only input
// must be there. Empty lines and those that begin with # are skipped. source names the list in errors.
// Throws: Usage naming the line: JSON that is not such an object, an output that is not a plain file name.
std::vector<BatchItem> parse_batch_list(std::string_view text, const std::string& source);

// The text of a list: of a file, or of standard input for "-".
// Throws: Io, Limit.
std::string read_batch_list(const std::filesystem::path& path);

}  // namespace mq::tool
