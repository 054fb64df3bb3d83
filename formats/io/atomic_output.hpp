// Output that appears whole under its final name or not at all. It is built under a temporary name in the same folder;
// an object destroyed before commit() removes what it built.
//
// The target is checked when the object is made and again when it is committed: without `overwrite` nothing that exists
// is replaced, even if it appeared in between. A symbolic link is followed: the file it leads to is replaced. Pipes,
// devices and sockets are refused.
#pragma once

#include <cstdint>
#include <filesystem>

#include "formats/io/file.hpp"

namespace mq::io {

class AtomicFile {
 public:
  // Throws: Io if target exists and may not be replaced, is no regular file, or its folder does not exist.
  AtomicFile(const std::filesystem::path& target, bool overwrite);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Creates the temporary file with its final size. Throws: Io (permission, no space).
  File& create(std::uint64_t size_bytes);

  // Gives the file its name; with `sync` file and folder are on the disk when it returns. Throws: Io.
  void commit(bool sync);

  // Removes what commit() gave its name, because something that belongs to it failed.
  void withdraw() noexcept;

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty while there is none
  bool overwrite_;
  bool committed_ = false;
  File file_;
};

class AtomicDirectory {
 public:
  // Throws: Io if target exists and may not be replaced, is no directory, or its parent does not exist.
  AtomicDirectory(const std::filesystem::path& target, bool overwrite);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  // Creates the temporary directory and returns its path. Throws: Io (permission, less free space than size_bytes).
  const std::filesystem::path& create(std::uint64_t size_bytes);

  // Gives the directory its name and, if it takes the place of an older one, removes that; with `sync` the whole tree
  // is on the disk first. Files in it are closed by then. Throws: Io.
  void commit(bool sync);

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty while there is none
  bool overwrite_;
};

}  // namespace mq::io
