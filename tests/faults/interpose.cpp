// Preloaded into mq-convert: makes one system call of a run go wrong. What is done is said by the environment:
//
//   MQ_FAULT_FOLDER   calls that change something at or below it count, from 1 on
//   MQ_FAULT_LOG      file to which the name of each of them is appended
//   MQ_FAULT_AT       number of the call that goes wrong; 0: every call (EINTR: every other one)
//   MQ_FAULT_DO       EIO, ENOSPC, EINTR: it fails so (close closes all the same)
//                     short: it transfers half of what was asked for; reads of any file do so too
//                     signal N: the signal comes before it
//                     change: MQ_FAULT_FILE changes before it      wait: it waits for a writer of the pipe
//                     MQ_FAULT_FILE
//   MQ_FAULT_UNNAMED  "no": there are no files without names (O_TMPFILE)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

template <class F>
F* real(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

// Calls of the kernel that are not counted.
int raw_open(std::string_view path, int flags) {
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, std::string(path).c_str(), flags | O_CLOEXEC, 0600));
}
void raw_close(int descriptor) {
  syscall(SYS_close, descriptor);
}

bool below_folder(std::string_view path) {
  const std::string_view folder = setting("MQ_FAULT_FOLDER");
  return !folder.empty() && path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool below_folder(int descriptor) {
  char path[4096];
  const ssize_t size = readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return size > 0 && below_folder(std::string_view(path, static_cast<std::size_t>(size)));
}

bool is_writable(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY;
}

void log_call(std::string_view name) {
  static const int log = raw_open(setting("MQ_FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND);
  const std::string line = std::string(name) + '\n';
  if (log >= 0) syscall(SYS_write, log, line.data(), line.size());
}

// As another program would, in a way that no clock hides.
void change_file() {
  const int file = raw_open(setting("MQ_FAULT_FILE"), O_RDWR);
  if (file < 0) std::abort();
  struct stat status {};
  fstat(file, &status);
  const struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                    {.tv_sec = status.st_mtim.tv_sec + 10, .tv_nsec = 0}};
  futimens(file, times);
  raw_close(file);
}

void wait_for_writer() {
  char byte = 0;
  const int pipe = raw_open(setting("MQ_FAULT_FILE"), O_RDONLY);
  if (pipe < 0 || syscall(SYS_read, pipe, &byte, 1) < 0) std::abort();
  raw_close(pipe);
}

enum class Fate { Happens, Fails, IsShort };

// Counts a call and says what becomes of it.
Fate fate_of(std::string_view name) {
  static std::atomic<long> calls{0};
  const long number = ++calls;
  log_call(name);
  const std::string_view action = setting("MQ_FAULT_DO");
  const long at = std::atol(std::string(setting("MQ_FAULT_AT")).c_str());
  if (action.empty() || (at != 0 && at != number)) return Fate::Happens;
  if (action == "short") return Fate::IsShort;
  if (action == "change") {
    change_file();
  } else if (action == "wait") {
    wait_for_writer();
  } else if (action.starts_with("signal ")) {
    kill(getpid(), std::atoi(std::string(action.substr(7)).c_str()));
  } else if (action != "EINTR" || at != 0 || number % 2 == 1) {
    errno = action == "EINTR" ? EINTR : action == "ENOSPC" ? ENOSPC : EIO;
    return Fate::Fails;
  }
  return Fate::Happens;
}

std::size_t half(std::size_t size) {
  return size > 1 ? size / 2 : size;
}

template <class Call>
int guarded(const char* name, bool counts, Call call) {
  return counts && fate_of(name) == Fate::Fails ? -1 : call();
}

template <class Call>
ssize_t transfer(const char* name, int descriptor, std::size_t size, Call call) {
  const Fate fate = below_folder(descriptor) ? fate_of(name) : Fate::Happens;
  return fate == Fate::Fails ? -1 : call(fate == Fate::IsShort ? half(size) : size);
}

int open_file(const char* name, const char* path, int flags, mode_t mode) {
  if ((flags & O_TMPFILE) == O_TMPFILE && setting("MQ_FAULT_UNNAMED") == "no") {
    errno = EOPNOTSUPP;
    return -1;
  }
  return guarded("open", (flags & O_ACCMODE) != O_RDONLY && below_folder(path),
                 [&] { return real<int(const char*, int, ...)>(name)(path, flags, mode); });
}

ssize_t read_file(const char* name, int descriptor, void* bytes, std::size_t size, off_t offset) {
  if (setting("MQ_FAULT_DO") == "short") size = half(size);
  return real<ssize_t(int, void*, std::size_t, off_t)>(name)(descriptor, bytes, size, offset);
}

ssize_t read_vector(const char* name, int descriptor, const iovec* parts, int count, off_t offset, int flags) {
  iovec first = *parts;
  if (setting("MQ_FAULT_DO") == "short") first.iov_len = half(first.iov_len);
  return real<ssize_t(int, const iovec*, int, off_t, int)>(name)(descriptor, count == 1 ? &first : parts, count, offset,
                                                                 flags);
}

ssize_t write_file(const char* name, int descriptor, const void* bytes, std::size_t size, off_t offset) {
  return transfer("pwrite", descriptor, size, [&](std::size_t count) {
    return real<ssize_t(int, const void*, std::size_t, off_t)>(name)(descriptor, bytes, count, offset);
  });
}

}  // namespace

#define MQ_EXPORT extern "C" __attribute__((visibility("default")))

MQ_EXPORT int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_file("open", path, flags, mode);
}
MQ_EXPORT int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_file("open64", path, flags, mode);
}

MQ_EXPORT ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset) {
  return read_file("pread", descriptor, bytes, size, offset);
}
MQ_EXPORT ssize_t pread64(int descriptor, void* bytes, size_t size, off_t offset) {
  return read_file("pread64", descriptor, bytes, size, offset);
}
MQ_EXPORT ssize_t preadv2(int descriptor, const iovec* parts, int count, off_t offset, int flags) {
  return read_vector("preadv2", descriptor, parts, count, offset, flags);
}
MQ_EXPORT ssize_t preadv64v2(int descriptor, const iovec* parts, int count, off_t offset, int flags) {
  return read_vector("preadv64v2", descriptor, parts, count, offset, flags);
}
MQ_EXPORT ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return write_file("pwrite", descriptor, bytes, size, offset);
}
MQ_EXPORT ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off_t offset) {
  return write_file("pwrite64", descriptor, bytes, size, offset);
}
MQ_EXPORT ssize_t write(int descriptor, const void* bytes, size_t size) {
  return transfer("write", descriptor, size, [&](std::size_t count) {
    return real<ssize_t(int, const void*, std::size_t)>("write")(descriptor, bytes, count);
  });
}

MQ_EXPORT int fsync(int descriptor) {
  return guarded("fsync", below_folder(descriptor), [&] { return real<int(int)>("fsync")(descriptor); });
}
MQ_EXPORT int fdatasync(int descriptor) {
  return guarded("fdatasync", below_folder(descriptor), [&] { return real<int(int)>("fdatasync")(descriptor); });
}
MQ_EXPORT int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  return guarded("fallocate", below_folder(descriptor),
                 [&] { return real<int(int, int, off_t, off_t)>("fallocate")(descriptor, mode, offset, size); });
}
MQ_EXPORT int ftruncate(int descriptor, off_t size) noexcept {
  return guarded("ftruncate", below_folder(descriptor),
                 [&] { return real<int(int, off_t)>("ftruncate")(descriptor, size); });
}

MQ_EXPORT int close(int descriptor) {
  const bool counts = is_writable(descriptor) && below_folder(descriptor);
  const bool fails = counts && fate_of("close") == Fate::Fails;
  const int error = errno;
  const int result = real<int(int)>("close")(descriptor);
  if (fails) errno = error;
  return fails ? -1 : result;
}

MQ_EXPORT int rename(const char* from, const char* to) noexcept {
  return guarded("rename", below_folder(to), [&] { return real<int(const char*, const char*)>("rename")(from, to); });
}
MQ_EXPORT int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return guarded("renameat2", below_folder(to), [&] {
    return real<int(int, const char*, int, const char*, unsigned)>("renameat2")(from_folder, from, to_folder, to,
                                                                                flags);
  });
}
MQ_EXPORT int link(const char* from, const char* to) noexcept {
  return guarded("link", below_folder(to), [&] { return real<int(const char*, const char*)>("link")(from, to); });
}
MQ_EXPORT int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return guarded("linkat", below_folder(to), [&] {
    return real<int(int, const char*, int, const char*, int)>("linkat")(from_folder, from, to_folder, to, flags);
  });
}
MQ_EXPORT int mkdir(const char* path, mode_t mode) noexcept {
  return guarded("mkdir", below_folder(path), [&] { return real<int(const char*, mode_t)>("mkdir")(path, mode); });
}
