#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "formats/io/atomic_output.hpp"
#include "formats/io/retry.hpp"
#include "formats/io/target_path.hpp"
#include "mq/error.hpp"

namespace mq::io {
namespace {

namespace fs = std::filesystem;

void sync_tree(const fs::path& root, const fs::path& named) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    sync_path(entry->path(), named / entry->path().lexically_relative(root));
  }
  if (error) throw_io(named, "list", error.value());
  sync_path(root, named);
}

}  // namespace

AtomicDirectory::AtomicDirectory(const fs::path& target, const TargetOptions& options)
    : target_(resolve_target(target)), partial_(options.partial), overwrite_(options.overwrite) {
  require_not_input(target_, options.inputs);
  require_replaceable(target_, overwrite_, fs::file_type::directory);
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!temporary_.empty() && !keeps_) fs::remove_all(temporary_, ignored);
}

const fs::path& AtomicDirectory::create(std::uint64_t size_bytes) {
  if (!temporary_.empty()) {
    throw Error({.code = ErrorCode::Usage, .message = "output begun twice", .file = target_.string()});
  }
  keeps_ = partial_ != nullptr;
  const fs::path name = keeps_ ? partial_->output() : random_sibling(target_);
  const bool made = retry([&] { return ::mkdir(name.c_str(), 0777); }) == 0;
  if (!made && !(keeps_ && errno == EEXIST)) throw_io(target_, "create", errno);
  temporary_ = name;
  // Of what is there already each file reserves the rest for itself.
  if (made) require_free_space(temporary_, size_bytes, target_);
  return temporary_;
}

void AtomicDirectory::sync() const {
  sync_tree(temporary_, target_);
}

void AtomicDirectory::commit(bool sync_name) {
  if (temporary_.empty()) {
    throw Error({.code = ErrorCode::Usage, .message = "output finished before it was begun", .file = target_.string()});
  }
  require_replaceable(target_, overwrite_, fs::file_type::directory);
  fs::path replaced;
  if (!rename_to_free_name(temporary_, target_)) replaced = exchange(temporary_, target_);
  const fs::path made = std::exchange(temporary_, replaced);  // from here on the old one is what is removed
  const bool kept = std::exchange(keeps_, false);
  try {
    std::error_code error;
    if (!replaced.empty() && !overwrite_ && !fs::is_empty(replaced, error)) {
      throw Error({.code = ErrorCode::Io,
                   .message = "came into existence while it was being written",
                   .file = target_.string()});
    }
    if (sync_name) sync_path(folder_of(target_), target_);
  } catch (const Error&) {
    temporary_ = made;
    keeps_ = kept;
    if (replaced.empty()) {
      rename_over(target_, made);
    } else {
      const fs::path back = exchange(replaced, target_);
      if (back != made) rename_over(back, made);
    }
    throw;
  }
  if (temporary_.empty()) return;
  std::error_code error;
  fs::remove_all(temporary_, error);
  if (error) throw_io(temporary_, "remove what was replaced", error.value());
  temporary_.clear();
}

}  // namespace mq::io
