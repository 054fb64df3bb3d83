// An open regular file: positioned reads and writes that are complete or throw. Reads and writes may run on any number
// of threads at once; the rest may not.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mq::io {

// Which file this is, whatever it is called.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  auto operator<=>(const FileIdentity&) const = default;
};

class File {
 public:
  // Throws: Io if it cannot be opened, Unsupported if it is not a regular file.
  static File open(const std::filesystem::path& path);
  // Creates a file that must not exist yet, with the permissions that the umask leaves, for writing and reading. Errors
  // name it `named`: the name it will have, in the same folder.
  // Throws: Io.
  static File create(const std::filesystem::path& path, const std::filesystem::path& named);
  static File create(const std::filesystem::path& path) { return create(path, path); }

  // Creates a file without a name in `folder`: unless link() gives it one, it vanishes with the process. Nothing where
  // the file system has no such files.
  // Throws: Io.
  static std::optional<File> create_unnamed(const std::filesystem::path& folder, const std::filesystem::path& named);

  // Opens a file for writing and reading, or creates it if it is not there. Errors name it `named`.
  // Throws: Io, Unsupported if it is not a regular file.
  static File open_or_create(const std::filesystem::path& path, const std::filesystem::path& named);

  // A range of this file as a file of its own: offset 0 is its beginning. It lies inside this one, was opened to read,
  // and is called path(): name in errors. Throws: Io.
  File part(std::uint64_t offset, std::uint64_t size_bytes, std::string_view name) const;

  File() = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t size() const noexcept { return size_; }  // when it was opened, or as set by resize()
  FileIdentity identity() const noexcept { return identity_; }
  std::int64_t modified_ns() const noexcept { return modified_seconds_ * 1'000'000'000 + modified_nanoseconds_; }

  // Fills out from offset on.
  // Throws: Io; Corrupt if the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  // Throws: Io (no space, a limit of the process, a failing device).
  void write(std::uint64_t offset, std::span<const std::byte> bytes) const;

  // Gives a created file its final size and, where the file system can, the disk space for it.
  // Throws: Io with the space needed and the space there is.
  void resize(std::uint64_t size);

  // Cuts off what is beyond `size`. Throws: Io.
  void truncate(std::uint64_t size);
  // Disk space that the file has now. Throws: Io.
  std::uint64_t allocated_bytes() const;

  // Throws: Corrupt if the file has another size or time of modification than when it was opened.
  void check_unchanged() const;

  // Makes what was written durable. Throws: Io.
  void sync() const;
  // Closes the file and reports what closing it reports. Throws: Io.
  void close();
  // The same for a file of create_unnamed(), which link() can give a name afterwards. Throws: Io.
  void close_unnamed();
  // Gives the file of create_unnamed() a name. False if something has it already. Throws: Io.
  bool link(const std::filesystem::path& name) const;

 private:
  File(const std::filesystem::path& path, int descriptor);
  static File opened(const std::filesystem::path& path, int descriptor);
  // How much of a read is in memory: done then. None once a read was not, as nobody asks ahead of what is.
  std::size_t read_held(std::uint64_t offset, std::span<std::byte> out) const noexcept;
  // Lets the system read what comes after `end`, unless it was asked to.
  void ask_ahead(std::uint64_t end) const noexcept;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t begin_ = 0;  // of what this object shows of the file
  std::uint64_t size_ = 0;
  std::uint64_t whole_size_ = 0;  // of the file when it was opened
  std::int64_t modified_seconds_ = 0;
  std::int64_t modified_nanoseconds_ = 0;
  FileIdentity identity_;
  mutable bool waits_ = false;  // a read was not in memory; atomic where threads are
  // Up to where the system was asked to read; atomic where threads are.
  alignas(std::atomic_ref<std::uint64_t>::required_alignment) mutable std::uint64_t asked_end_ = 0;
};

// What path leads to, links followed. False if it cannot be known: opening it will say why.
bool is_file(const std::filesystem::path& path) noexcept;
bool is_folder(const std::filesystem::path& path) noexcept;

// Of the file or directory that path leads to. Throws: Io if there is none.
FileIdentity identity_of(const std::filesystem::path& path);

// Makes a file, or the entries of a directory, durable. Errors call it `named`. Throws: Io.
void sync_path(const std::filesystem::path& path, const std::filesystem::path& named);

// Throws: Io, naming the output `named`, unless `bytes` more bytes fit on the file system of `folder`.
void require_free_space(const std::filesystem::path& folder, std::uint64_t bytes, const std::filesystem::path& named);

// Throws Io for a failed system call: "<path>: cannot <action>: <reason>".
[[noreturn]] void throw_io(const std::filesystem::path& path, std::string_view action, int error_number);

// The whole content of a file, at most max_bytes of it.
// Throws: as File; Limit if it is larger.
std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace mq::io
