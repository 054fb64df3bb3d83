#include "formats/io/file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "formats/io/checked.hpp"
#include "formats/io/retry.hpp"
#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTransferBytes = std::size_t{1} << 30;  // Linux moves at most 2^31 - 4096 per call

// Reads of so many bytes go on where they end, mostly. From the first that is not in memory on, so much after them is
// asked for, so that a disk works on while they are, and so much of it at a time.
constexpr std::uint64_t kStreamedBytes = 64 << 10, kAheadBytes = 8 << 20, kAskedBytes = 1 << 20;

struct stat status_of(const fs::path& path, int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_io(path, "read the status", errno);
  return status;
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// A process that writes beyond its limit is killed by a signal, so ask before.
void require_size_within_limit(const fs::path& path, std::uint64_t size) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur) return;
  throw Error({.code = ErrorCode::Io,
               .message = "larger than the file size limit of this process",
               .file = path.string(),
               .expected = "at most " + std::to_string(limit.rlim_cur) + " bytes",
               .found = std::to_string(size),
               .hint = "see ulimit -f"});
}

// A path that leads to an open file, whether or not it has a name.
std::string link_to(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

// After EINTR the descriptor is gone all the same, so close is not repeated.
void close_descriptor(int descriptor, const fs::path& path) {
  if (::close(descriptor) != 0 && errno != EINTR) throw_io(path, "close", errno);
}

}  // namespace

void throw_io(const fs::path& path, std::string_view action, int error_number) {
  throw Error({.code = ErrorCode::Io,
               .message = "cannot " + std::string(action) + ": " + std::generic_category().message(error_number),
               .file = path.string()});
}

File::File(const fs::path& path, int descriptor) : path_(path), descriptor_(descriptor) {}

File::File(File&& other) noexcept {
  *this = std::move(other);
}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(begin_, other.begin_);
  std::swap(size_, other.size_);
  std::swap(waits_, other.waits_);
  std::swap(asked_end_, other.asked_end_);
  std::swap(whole_size_, other.whole_size_);
  std::swap(modified_seconds_, other.modified_seconds_);
  std::swap(modified_nanoseconds_, other.modified_nanoseconds_);
  std::swap(identity_, other.identity_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

// Without O_NONBLOCK, opening a pipe would wait for its other end.
File File::open(const fs::path& path) {
  const int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor < 0) throw_io(path, "open", errno);
  return opened(path, descriptor);
}

File File::open_or_create(const fs::path& path, const fs::path& named) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const int descriptor = retry([&] { return ::open(path.c_str(), kFlags, 0666); });
  if (descriptor < 0) throw_io(named, "create", errno);
  return opened(named, descriptor);
}

File File::opened(const fs::path& path, int descriptor) {
  File file(path, descriptor);
  const struct stat status = status_of(path, descriptor);
  if (!S_ISREG(status.st_mode)) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "not a file that can be read at any position",
                 .file = path.string(),
                 .expected = "a regular file",
                 .found = kind_of(status.st_mode)});
  }
  file.size_ = file.whole_size_ = static_cast<std::uint64_t>(status.st_size);
  file.modified_seconds_ = status.st_mtim.tv_sec;
  file.modified_nanoseconds_ = status.st_mtim.tv_nsec;
  file.identity_ = {status.st_dev, status.st_ino};
  return file;
}

File File::create(const fs::path& path, const fs::path& named) {
  const int descriptor =
      retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666); });
  if (descriptor < 0) throw_io(named, "create", errno);
  File file(named, descriptor);
  const struct stat status = status_of(named, descriptor);
  file.identity_ = {status.st_dev, status.st_ino};
  return file;
}

std::optional<File> File::create_unnamed(const fs::path& folder, const fs::path& named) {
  const int descriptor = retry([&] { return ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666); });
  if (descriptor < 0) {
    // As file systems and kernels say that they have no such files.
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT) return std::nullopt;
    throw_io(named, "create", errno);
  }
  File file(named, descriptor);
  if (::access(link_to(descriptor).c_str(), F_OK) != 0) return std::nullopt;  // no /proc, no way to a name
  const struct stat status = status_of(named, descriptor);
  file.identity_ = {status.st_dev, status.st_ino};
  return file;
}

void File::close_unnamed() {
  const int handle = retry([&] { return ::open(link_to(descriptor_).c_str(), O_PATH | O_CLOEXEC); });
  if (handle < 0) throw_io(path_, "close", errno);
  close_descriptor(std::exchange(descriptor_, handle), path_);
}

bool File::link(const fs::path& name) const {
  const std::string from = link_to(descriptor_);
  if (retry([&] { return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW); }) == 0) {
    return true;
  }
  if (errno != EEXIST) throw_io(path_, "take the final name", errno);
  return false;
}

File File::part(std::uint64_t offset, std::uint64_t size_bytes, std::string_view name) const {
  const int descriptor = retry([&] { return ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0); });
  if (descriptor < 0) throw_io(path_, "open", errno);
  File file(path_.string() + ": " + std::string(name), descriptor);
  file.begin_ = begin_ + offset;
  file.size_ = size_bytes;
  file.whole_size_ = whole_size_;
  file.modified_seconds_ = modified_seconds_;
  file.modified_nanoseconds_ = modified_nanoseconds_;
  file.identity_ = identity_;
  return file;
}

std::size_t File::read_held(std::uint64_t offset, std::span<std::byte> out) const noexcept {
  const std::atomic_ref waits(waits_);
  if (waits.load(std::memory_order_relaxed)) return 0;
  const iovec bytes{out.data(), std::min(out.size(), kMaxTransferBytes)};
  const ssize_t got = ::preadv2(descriptor_, &bytes, 1, static_cast<off_t>(begin_ + offset), RWF_NOWAIT);
  if (got == static_cast<ssize_t>(bytes.iov_len)) return bytes.iov_len;
  waits.store(true, std::memory_order_relaxed);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

void File::ask_ahead(std::uint64_t end) const noexcept {
  const std::atomic_ref asked_end(asked_end_);
  std::uint64_t asked = asked_end.load(std::memory_order_relaxed);
  const std::uint64_t wanted = std::min(end + kAheadBytes, size_);
  const bool goes_on = asked >= end && asked <= end + 2 * kAheadBytes;
  if (goes_on && wanted < asked + kAskedBytes && wanted != size_) return;
  const std::uint64_t begin = goes_on ? asked : end;
  if (wanted <= begin || !asked_end.compare_exchange_strong(asked, wanted, std::memory_order_relaxed)) return;
  // Advice: without it all is as correct.
  static_cast<void>(::posix_fadvise(descriptor_, static_cast<off_t>(begin_ + begin), static_cast<off_t>(wanted - begin),
                                    POSIX_FADV_WILLNEED));
}

void File::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (out.size() >= kStreamedBytes) {
    const std::uint64_t end = offset + out.size();
    const std::size_t held = read_held(offset, out);
    out = out.subspan(held);
    offset += held;
    if (!out.empty()) ask_ahead(end);
  }
  while (!out.empty()) {
    const std::size_t wanted = std::min(out.size(), kMaxTransferBytes);
    const ssize_t got =
        retry([&] { return ::pread(descriptor_, out.data(), wanted, static_cast<off_t>(begin_ + offset)); });
    if (got < 0) throw_io(path_, "read", errno);
    if (got == 0) {
      throw Error({.code = ErrorCode::Corrupt,
                   .message = "the file ends too early",
                   .file = path_.string(),
                   .offset = offset,
                   .expected = std::to_string(out.size()) + " more bytes"});
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void File::write(std::uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::size_t wanted = std::min(bytes.size(), kMaxTransferBytes);
    const ssize_t put = retry([&] { return ::pwrite(descriptor_, bytes.data(), wanted, static_cast<off_t>(offset)); });
    if (put < 0) throw_io(path_, "write", errno);
    if (put == 0) throw_io(path_, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void File::resize(std::uint64_t size) {
  require_size_within_limit(path_, size);
  if (size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) throw_io(path_, "reserve space", EFBIG);
  const auto length = static_cast<off_t>(size);
  // Reserving finds a full disk now; writing would find it hours later.
  const int result = length == 0 ? 0 : retry([&] { return ::fallocate(descriptor_, 0, 0, length); });
  if (result != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
      if (errno == ENOSPC) require_free_space(path_.parent_path(), size, path_);
      throw_io(path_, "reserve " + std::to_string(size) + " bytes", errno);
    }
    require_free_space(path_.parent_path(), size - std::min(size, allocated_bytes()), path_);
    if (retry([&] { return ::ftruncate(descriptor_, length); }) != 0) throw_io(path_, "set the size", errno);
  }
  size_ = size;
}

void File::truncate(std::uint64_t size) {
  if (retry([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0) {
    throw_io(path_, "set the size", errno);
  }
  size_ = size;
}

std::uint64_t File::allocated_bytes() const {
  constexpr std::uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's are
  return static_cast<std::uint64_t>(status_of(path_, descriptor_).st_blocks) * kBlockBytes;
}

void File::check_unchanged() const {
  const struct stat status = status_of(path_, descriptor_);
  if (static_cast<std::uint64_t>(status.st_size) == whole_size_ && status.st_mtim.tv_sec == modified_seconds_ &&
      status.st_mtim.tv_nsec == modified_nanoseconds_) {
    return;
  }
  throw Error({.code = ErrorCode::Corrupt,
               .message = "the file changed while it was being read",
               .file = path_.string(),
               .expected = std::to_string(size_) + " bytes as when it was opened",
               .found = std::to_string(status.st_size) + " bytes and another time of modification"});
}

void File::sync() const {
  if (retry([&] { return ::fsync(descriptor_); }) != 0) throw_io(path_, "write to the disk", errno);
}

void File::close() {
  if (descriptor_ >= 0) close_descriptor(std::exchange(descriptor_, -1), path_);
}

bool is_file(const fs::path& path) noexcept {
  std::error_code unknown;
  return fs::is_regular_file(path, unknown);
}

bool is_folder(const fs::path& path) noexcept {
  std::error_code unknown;
  return fs::is_directory(path, unknown);
}

FileIdentity identity_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw_io(path, "find", errno);
  return {status.st_dev, status.st_ino};
}

void sync_path(const fs::path& path, const fs::path& named) {
  const int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0) throw_io(named, "open", errno);
  const int result = retry([&] { return ::fsync(descriptor); });
  const int error_number = errno;
  ::close(descriptor);
  // Folders of some network file systems cannot; their entries are as durable as they will ever be.
  if (result != 0 && error_number != EINVAL) throw_io(named, "write to the disk", error_number);
}

void require_free_space(const fs::path& folder, std::uint64_t bytes, const fs::path& named) {
  struct statvfs status {};
  const char* const name = folder.empty() ? "." : folder.c_str();
  if (retry([&] { return ::statvfs(name, &status); }) != 0) return;  // unknown: writing will tell
  const std::uint64_t available =
      checked_multiply(status.f_bavail, status.f_frsize).value_or(std::numeric_limits<std::uint64_t>::max());
  if (bytes <= available) return;
  throw Error({.code = ErrorCode::Io,
               .message = "not enough space for the output",
               .file = named.string(),
               .expected = std::to_string(bytes) + " bytes free",
               .found = std::to_string(available)});
}

std::string read_text(const fs::path& path, std::uint64_t max_bytes) {
  const File file = File::open(path);
  if (file.size() > max_bytes) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "file too large",
                 .file = path.string(),
                 .expected = "at most " + std::to_string(max_bytes) + " bytes",
                 .found = std::to_string(file.size())});
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace mq::io
