// Output that appears whole under its final name or not at all. An object destroyed before it was settled removes what
// it built and brings back what it had replaced.
//
// A file has no name until it is complete (O_TMPFILE), so that not even a killed process leaves it behind; where the
// file system has no such files, and for directories, it is built under a temporary name in the same folder. An output
// that is to be continued after a failure is built in OUT.partial and stays there.
//
// The target is checked when the object is made and again when it is published: without `overwrite` nothing that exists
// is replaced, even if it appeared in between, but for empty directories. A symbolic link is followed: the file it
// leads to is replaced. Pipes, devices and sockets are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "formats/io/file.hpp"
#include "formats/io/partial_folder.hpp"

namespace mq::io {

struct TargetOptions {
  bool overwrite = false;
  std::span<const std::filesystem::path> inputs = {};  // which the target must not be, nor hold
  const PartialFolder* partial = nullptr;              // where to build, and what to go on with; borrowed
};

class AtomicFile {
 public:
  // Throws: Io if target exists and may not be replaced, is no regular file, or its folder does not exist; Usage if it
  // is an input.
  AtomicFile(const std::filesystem::path& target, const TargetOptions& options);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Creates the file with its final size, if there is space for it and for extra_bytes beside it.
  // Throws: Io (permission, no space).
  File& create(std::uint64_t size_bytes, std::uint64_t extra_bytes = 0);

  // Closes the file; with `sync` its bytes are on the disk when it returns. It has no name yet. Throws: Io.
  void complete(bool sync);

  // Whether there is something that publish() would replace.
  bool replaces() const;
  // Takes away what has the name, if it may be replaced, so that nothing has it for a while. Throws: Io.
  void put_aside();
  // Gives the completed file its name; what had it is kept until settle(). Throws: Io.
  void publish();
  // Makes the names in the folder durable. Throws: Io.
  void sync_name() const;
  // Undoes publish() and put_aside().
  void withdraw() noexcept;
  // Removes what was replaced: from here on nothing can be undone. Returns the name it has if that failed.
  std::filesystem::path settle() noexcept;

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty while the file has no name, or its final one
  std::filesystem::path replaced_;   // what had the final name
  const PartialFolder* partial_;
  bool overwrite_;
  bool begun_ = false;
  bool completing_ = false;
  bool completed_ = false;
  bool published_ = false;
  File file_;
};

// Publishes a file and those that describe it as one: all of them or, if anything fails, none. At no moment does one of
// `beside` describe another content of `main` than the one it has.
// Throws: Io.
void publish_together(AtomicFile& main, std::span<const std::unique_ptr<AtomicFile>> beside, bool sync);

class AtomicDirectory {
 public:
  // Throws: Io if target exists and may not be replaced, is no directory, or its parent does not exist; Usage if it is
  // or holds an input.
  AtomicDirectory(const std::filesystem::path& target, const TargetOptions& options);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  // Creates the temporary directory and returns its path. Throws: Io (permission, less free space than size_bytes).
  const std::filesystem::path& create(std::uint64_t size_bytes);

  // Makes the whole tree durable. Files in it are closed by then. Throws: Io.
  void sync() const;

  // Gives the directory its name and, if it takes the place of an older one, removes that. Throws: Io.
  void commit(bool sync_name);

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // what is to be removed: the new directory, or the one it replaced; may be empty
  const PartialFolder* partial_;
  bool overwrite_;
  bool keeps_ = false;  // temporary_ is a partial output
};

}  // namespace mq::io
