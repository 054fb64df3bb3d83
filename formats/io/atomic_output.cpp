#include "formats/io/atomic_output.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;               // as the kernel's own limit
constexpr std::size_t kMaxStemBytes = 200;  // of a target's name inside the temporary one, which must fit 255

[[noreturn]] void refuse(const fs::path& target, std::string message, std::string hint = {}) {
  throw Error({.code = ErrorCode::Io, .message = std::move(message), .file = target.string(), .hint = std::move(hint)});
}

// The path with links at its end followed, even to a file that does not exist yet.
fs::path follow_links(fs::path path) {
  std::error_code error;
  for (int i = 0; fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    if (i == kMaxLinks) refuse(path, "too many symbolic links");
    const fs::path next = fs::read_symlink(path, error);
    if (error) throw_io(path, "read the link", error.value());
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  return path;
}

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

// The final name: links followed, no slash at the end, in a folder that exists.
fs::path resolve(const fs::path& target) {
  fs::path path = follow_links(target.has_filename() ? target : target.parent_path());
  if (!path.has_filename() || path.filename() == "." || path.filename() == "..") {
    refuse(target, "not a name that an output can take");
  }
  std::error_code error;
  if (!fs::is_directory(folder_of(path), error)) refuse(folder_of(path), "no such folder");
  return path;
}

// Throws unless target is absent, or is of the wanted kind and may be replaced.
void require_replaceable(const fs::path& target, bool overwrite, fs::file_type wanted) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(target, error).type();
  if (type == fs::file_type::not_found) return;
  if (type == fs::file_type::none) throw_io(target, "look at", error.value());
  if (type != wanted) {
    refuse(target,
           wanted == fs::file_type::regular ? "exists and is not a regular file" : "exists and is not a directory");
  }
  if (!overwrite) refuse(target, "exists already", "ask to overwrite it, or choose another name");
}

fs::path random_sibling(const fs::path& target) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) != sizeof(random)) throw_io(target, "choose a temporary name", errno);
  std::string name = "." + target.filename().string().substr(0, kMaxStemBytes) + ".";
  for (int i = 0; i < 16; ++i) name += "0123456789abcdef"[(random >> (4 * i)) & 15];
  return folder_of(target) / (name + ".tmp");
}

// False if something has the new name already.
bool rename_to_free_name(const fs::path& from, const fs::path& to) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) throw_io(to, "take the final name", errno);
  // A file system without RENAME_NOREPLACE: a hard link fails if the name is taken, where directories cannot have one.
  if (::link(from.c_str(), to.c_str()) == 0) {
    ::unlink(from.c_str());
    return true;
  }
  if (errno == EEXIST) return false;
  std::error_code error;
  if (fs::exists(fs::symlink_status(to, error))) return false;
  fs::rename(from, to, error);
  if (error) throw_io(to, "take the final name", error.value());
  return true;
}

void rename_over(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) throw_io(to, "take the final name", error.value());
}

// Puts the directory `from` in the place of `to`; what was there is then called by the name returned.
fs::path exchange_directories(const fs::path& from, const fs::path& to) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return from;
  if (errno != EINVAL && errno != ENOSYS) throw_io(to, "replace", errno);
  fs::path aside = random_sibling(to);
  rename_over(to, aside);
  try {
    rename_over(from, to);
  } catch (const Error&) {
    rename_over(aside, to);
    throw;
  }
  return aside;
}

void require_state(const fs::path& target, bool right, const char* problem) {
  if (right) return;
  throw Error({.code = ErrorCode::Usage, .message = "output " + std::string(problem), .file = target.string()});
}

void sync_tree(const fs::path& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    if (is_folder(entry->path())) {
      sync_directory(entry->path());
    } else {
      File::open(entry->path()).sync();
    }
  }
  if (error) throw_io(root, "list", error.value());
  sync_directory(root);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& target, bool overwrite) : target_(resolve(target)), overwrite_(overwrite) {
  require_replaceable(target_, overwrite_, fs::file_type::regular);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

File& AtomicFile::create(std::uint64_t size_bytes) {
  require_state(target_, temporary_.empty() && !committed_, "begun twice");
  const fs::path name = random_sibling(target_);
  file_ = File::create(name, target_);
  temporary_ = name;
  file_.resize(size_bytes);
  return file_;
}

void AtomicFile::commit(bool sync) {
  require_state(target_, !temporary_.empty(), "finished before it was begun");
  if (sync) file_.sync();
  file_.close();
  require_replaceable(target_, overwrite_, fs::file_type::regular);
  if (overwrite_) {
    rename_over(temporary_, target_);
  } else if (!rename_to_free_name(temporary_, target_)) {
    refuse(target_, "came into existence while it was being written");
  }
  temporary_.clear();
  committed_ = true;
  if (sync) sync_directory(folder_of(target_));
}

void AtomicFile::withdraw() noexcept {
  if (std::exchange(committed_, false)) ::unlink(target_.c_str());
}

AtomicDirectory::AtomicDirectory(const fs::path& target, bool overwrite)
    : target_(resolve(target)), overwrite_(overwrite) {
  require_replaceable(target_, overwrite_, fs::file_type::directory);
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

const fs::path& AtomicDirectory::create(std::uint64_t size_bytes) {
  require_state(target_, temporary_.empty(), "begun twice");
  const fs::path name = random_sibling(target_);
  if (::mkdir(name.c_str(), 0777) != 0) throw_io(target_, "create", errno);
  temporary_ = name;
  require_free_space(temporary_, size_bytes);
  return temporary_;
}

void AtomicDirectory::commit(bool sync) {
  require_state(target_, !temporary_.empty(), "finished before it was begun");
  if (sync) sync_tree(temporary_);
  require_replaceable(target_, overwrite_, fs::file_type::directory);
  if (rename_to_free_name(temporary_, target_)) {
    temporary_.clear();
  } else if (overwrite_) {
    temporary_ = exchange_directories(temporary_, target_);  // from here on the old one is what is removed
  } else {
    refuse(target_, "came into existence while it was being written");
  }
  if (sync) sync_directory(folder_of(target_));
  if (temporary_.empty()) return;
  std::error_code error;
  fs::remove_all(temporary_, error);
  if (error) throw_io(temporary_, "remove what was replaced", error.value());
  temporary_.clear();
}

}  // namespace mq::io
