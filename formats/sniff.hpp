// What a file is that no reader takes: so that the message says "a Git LFS pointer", not "bad header".
#pragma once

#include <filesystem>

namespace mq::formats {

// Throws: Io if there is nothing at path or it may not be looked at.
void require_exists(const std::filesystem::path& path);

// Throws: Unsupported or Corrupt, naming what the file is; Io if it cannot be read.
[[noreturn]] void throw_unrecognised(const std::filesystem::path& path);

}  // namespace mq::formats
