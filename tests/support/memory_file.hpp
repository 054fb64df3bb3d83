// One file in memory with a path that can be opened, whose content is replaced again and again: thousands of damaged
// files an hour cost no disk.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mq::test {

class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("mq-test", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::runtime_error("cannot make a file in memory");
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Gives the file this content and returns its path.
  const std::filesystem::path& put(std::string_view content) {
    bool done = ::ftruncate(descriptor_, 0) == 0;
    for (std::size_t at = 0; done && at < content.size();) {
      const ::ssize_t put = ::pwrite(descriptor_, content.data() + at, content.size() - at, static_cast<::off_t>(at));
      done = put > 0;
      if (done) at += static_cast<std::size_t>(put);
    }
    if (!done) throw std::runtime_error("cannot write a file in memory");
    return path_;
  }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

}  // namespace mq::test
