#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <string>
#include <system_error>
#include <utility>

#include "formats/io/atomic_output.hpp"
#include "formats/io/checked.hpp"
#include "formats/io/retry.hpp"
#include "formats/io/target_path.hpp"
#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

void require_state(const fs::path& target, bool right, const char* problem) {
  if (right) return;
  throw Error({.code = ErrorCode::Usage, .message = "output " + std::string(problem), .file = target.string()});
}

[[noreturn]] void refuse_taken(const fs::path& target) {
  throw Error(
      {.code = ErrorCode::Io, .message = "came into existence while it was being written", .file = target.string()});
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& target, const TargetOptions& options)
    : target_(resolve_target(target)), partial_(options.partial), overwrite_(options.overwrite) {
  require_not_input(target_, options.inputs);
  require_replaceable(target_, overwrite_, fs::file_type::regular);
}

AtomicFile::~AtomicFile() {
  withdraw();
  if (!temporary_.empty() && partial_ == nullptr) ::unlink(temporary_.c_str());
}

File& AtomicFile::create(std::uint64_t size_bytes, std::uint64_t extra_bytes) {
  require_state(target_, !std::exchange(begun_, true), "begun twice");
  if (partial_ != nullptr) {
    file_ = File::open_or_create(partial_->output(), target_);
    temporary_ = partial_->output();
    if (file_.size() > size_bytes) file_.truncate(size_bytes);
  }
  const std::uint64_t there = partial_ == nullptr ? 0 : std::min(file_.allocated_bytes(), size_bytes);
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  require_free_space(folder_of(target_), checked_add(size_bytes - there, extra_bytes).value_or(kMax), target_);
  if (partial_ != nullptr) {
    // What is there already is used.
  } else if (auto unnamed = File::create_unnamed(folder_of(target_), target_)) {
    file_ = std::move(*unnamed);
  } else {
    const fs::path name = random_sibling(target_);
    file_ = File::create(name, target_);
    temporary_ = name;
  }
  file_.resize(size_bytes);
  return file_;
}

void AtomicFile::complete(bool sync) {
  require_state(target_, begun_, "finished before it was begun");
  if (completed_) return;
  // After one failure a second fsync would know nothing of the bytes that were lost.
  require_state(target_, !std::exchange(completing_, true), "could not be completed before");
  if (sync) file_.sync();
  if (temporary_.empty()) {
    file_.close_unnamed();
  } else {
    file_.close();
  }
  completed_ = true;
}

bool AtomicFile::replaces() const {
  std::error_code error;
  return fs::exists(fs::symlink_status(target_, error));
}

void AtomicFile::put_aside() {
  require_replaceable(target_, overwrite_, fs::file_type::regular);
  if (!replaces()) return;
  const fs::path aside = random_sibling(target_);
  if (retry([&] { return ::rename(target_.c_str(), aside.c_str()); }) != 0) throw_io(target_, "replace", errno);
  replaced_ = aside;
}

void AtomicFile::publish() {
  require_state(target_, completed_ && !published_, "published before it was complete");
  require_replaceable(target_, overwrite_, fs::file_type::regular);
  if (temporary_.empty() ? file_.link(target_) : rename_to_free_name(temporary_, target_)) {
    temporary_.clear();
    published_ = true;
    return;
  }
  if (!overwrite_ || !replaced_.empty()) refuse_taken(target_);
  if (temporary_.empty()) {
    const fs::path name = random_sibling(target_);
    if (!file_.link(name)) refuse_taken(name);
    temporary_ = name;
  }
  replaced_ = exchange(temporary_, target_);
  temporary_.clear();
  published_ = true;
}

void AtomicFile::sync_name() const {
  sync_path(folder_of(target_), target_);
}

void AtomicFile::withdraw() noexcept {
  if (published_ && partial_ != nullptr) {
    // Back to where it can be continued; what it replaced, if anything, may have taken that name.
    const fs::path built = partial_->output();
    if (replaced_ == built) {
      ::renameat2(AT_FDCWD, built.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE);
      replaced_.clear();
    } else {
      ::rename(target_.c_str(), built.c_str());
    }
    temporary_ = built;
  } else if (published_ && replaced_.empty()) {
    ::unlink(target_.c_str());
  }
  // Takes the place of the new one, if that is there.
  if (!replaced_.empty() && ::rename(replaced_.c_str(), target_.c_str()) == 0) replaced_.clear();
  published_ = false;
}

fs::path AtomicFile::settle() noexcept {
  published_ = false;
  fs::path old = std::exchange(replaced_, {});
  if (!old.empty() && ::unlink(old.c_str()) == 0) old.clear();
  return old;
}

void publish_together(AtomicFile& main, std::span<const std::unique_ptr<AtomicFile>> beside, bool sync) {
  try {
    main.complete(sync);
    for (const auto& file : beside) file->complete(sync);
    // Where nothing is replaced, whoever sees the main file sees the others too.
    const bool main_first = main.replaces();
    for (const auto& file : beside) file->put_aside();
    if (main_first) main.publish();
    for (const auto& file : beside) file->publish();
    if (!main_first) main.publish();
    if (sync) {
      main.sync_name();
      for (const auto& file : beside) file->sync_name();
    }
  } catch (...) {
    main.withdraw();
    for (const auto& file : beside) file->withdraw();
    throw;
  }
  fs::path left = main.settle();
  for (const auto& file : beside) {
    if (fs::path other = file->settle(); !other.empty()) left = std::move(other);
  }
  if (!left.empty()) throw_io(left, "remove what was replaced", errno);
}

}  // namespace mq::io
