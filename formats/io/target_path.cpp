#include "formats/io/target_path.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "formats/io/file.hpp"
#include "formats/io/retry.hpp"
#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;               // as the kernel's own limit
constexpr std::size_t kMaxStemBytes = 200;  // of a target's name inside the temporary one, which must fit 255

[[noreturn]] void refuse(const fs::path& target, std::string message, std::string hint = {},
                         ErrorCode code = ErrorCode::Io) {
  throw Error({.code = code, .message = std::move(message), .file = target.string(), .hint = std::move(hint)});
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

bool is_missing_feature(int error_number) {
  return error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP;
}

int rename2(const fs::path& from, const fs::path& to, unsigned flags) {
  return retry([&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags); });
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

}  // namespace

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

fs::path resolve_target(const fs::path& target) {
  fs::path path = follow_links(target.has_filename() ? target : target.parent_path());
  if (!path.has_filename() || path.filename() == "." || path.filename() == "..") {
    refuse(target, "not a name that an output can take");
  }
  std::error_code error;
  if (!fs::is_directory(folder_of(path), error)) refuse(folder_of(path), "no such folder");
  return path;
}

fs::path random_sibling(const fs::path& target) {
  std::uint64_t random = 0;
  if (retry([&] { return ::getrandom(&random, sizeof(random), 0); }) != sizeof(random)) {
    throw_io(target, "choose a temporary name", errno);
  }
  std::string name = "." + target.filename().string().substr(0, kMaxStemBytes) + ".";
  for (int i = 0; i < 16; ++i) name += "0123456789abcdef"[(random >> (4 * i)) & 15];
  return folder_of(target) / (name + ".tmp");
}

void require_replaceable(const fs::path& target, bool overwrite, fs::file_type wanted) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(target, error).type();
  if (type == fs::file_type::not_found) return;
  if (type == fs::file_type::none) throw_io(target, "look at", error.value());
  if (type != wanted) {
    refuse(target,
           wanted == fs::file_type::regular ? "exists and is not a regular file" : "exists and is not a directory");
  }
  if (overwrite || (wanted == fs::file_type::directory && fs::is_empty(target, error))) return;
  refuse(target, "exists already", "choose another name, or overwrite it");
}

void require_not_input(const fs::path& target, std::span<const fs::path> inputs) {
  std::error_code error;
  if (!is_there(target)) return;
  const bool is_directory = fs::is_directory(target, error);
  const char* const hint = "the input is never modified: choose another name";
  for (const fs::path& input : inputs) {
    if (fs::equivalent(target, input, error))
      refuse(target, "the output is a file of the input", hint, ErrorCode::Usage);
    if (!is_directory) continue;
    fs::path folder = fs::weakly_canonical(input, error).parent_path();
    for (; !folder.empty() && folder != folder.parent_path(); folder = folder.parent_path()) {
      if (!fs::equivalent(target, folder, error)) continue;
      refuse(target, "the output is a directory that holds the input", hint, ErrorCode::Usage);
    }
  }
}

bool rename_to_free_name(const fs::path& from, const fs::path& to) {
  if (rename2(from, to, RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (!is_missing_feature(errno)) throw_io(to, "take the final name", errno);
  // A hard link fails if the name is taken; directories cannot have one.
  if (retry([&] { return ::link(from.c_str(), to.c_str()); }) == 0) {
    ::unlink(from.c_str());
    return true;
  }
  if (errno == EEXIST || is_there(to)) return false;
  rename_over(from, to);
  return true;
}

void rename_over(const fs::path& from, const fs::path& to) {
  if (retry([&] { return ::rename(from.c_str(), to.c_str()); }) != 0) throw_io(to, "take the final name", errno);
}

fs::path exchange(const fs::path& from, const fs::path& to) {
  if (rename2(from, to, RENAME_EXCHANGE) == 0) return from;
  if (!is_missing_feature(errno)) throw_io(to, "replace", errno);
  fs::path aside = random_sibling(to);
  const bool linked = retry([&] { return ::link(to.c_str(), aside.c_str()); }) == 0;
  if (!linked && retry([&] { return ::rename(to.c_str(), aside.c_str()); }) != 0) throw_io(to, "replace", errno);
  try {
    rename_over(from, to);
  } catch (const Error&) {
    if (linked) {
      ::unlink(aside.c_str());
    } else {
      rename_over(aside, to);
    }
    throw;
  }
  return aside;
}

}  // namespace mq::io
