#include "formats/io/partial_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "formats/io/file.hpp"
#include "formats/io/retry.hpp"
#include "formats/io/target_path.hpp"
#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

fs::path beside(fs::path target) {
  return target += ".partial";
}

}  // namespace

PartialFolder::PartialFolder(const fs::path& target) : target_(resolve_target(target)), path_(beside(target_)) {}

PartialFolder::~PartialFolder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartialFolder::open() {
  if (descriptor_ >= 0) return;
  while (!lock()) {
  }
}

// False if the folder went away between two steps.
bool PartialFolder::lock() {
  if (retry([&] { return ::mkdir(path_.c_str(), 0777); }) != 0 && errno != EEXIST) throw_io(path_, "create", errno);
  const int descriptor = retry([&] { return ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); });
  if (descriptor < 0 && errno == ENOENT) return false;
  if (descriptor < 0) throw_io(path_, "open the folder", errno);
  descriptor_ = descriptor;
  if (retry([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) throw_io(path_, "lock the folder", errno);
    throw Error({.code = ErrorCode::Io,
                 .message = "another process is working on this output",
                 .file = path_.string(),
                 .hint = "wait until it has ended"});
  }
  // Whoever had it before may have removed it.
  struct stat mine {};
  struct stat named {};
  if (::fstat(descriptor, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
      mine.st_dev == named.st_dev) {
    return true;
  }
  ::close(std::exchange(descriptor_, -1));
  return false;
}

void PartialFolder::remove() {
  std::error_code error;
  fs::remove_all(path_, error);
  if (error) throw_io(path_, "remove", error.value());
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

bool PartialFolder::holds_journal_only() const {
  std::error_code error;
  std::size_t entries = 0;
  for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) ++entries;
  return !error && entries == 1 && fs::is_regular_file(fs::symlink_status(path_ / kJournal, error));
}

void PartialFolder::remove_if_published() {
  std::error_code error;
  if (!fs::exists(target_, error) || !holds_journal_only()) return;
  open();
  if (holds_journal_only()) remove();
}

}  // namespace mq::io
