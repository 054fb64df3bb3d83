// Small sound files of all formats, for damage of every kind to be done to them.
#pragma once

#include <string>
#include <vector>

namespace mq::attacks {

struct BaseFile {
  std::string name;
  std::string bytes;
  bool every_prefix_is_refused = true;
};

std::vector<BaseFile> base_files();

}  // namespace mq::attacks
