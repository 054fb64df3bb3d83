#include "formats/hf_assets.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "formats/file_names.hpp"
#include "formats/io/file.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

class Collector {
 public:
  Collector(const fs::path& root, std::span<const std::string> in_use) : root_(root), in_use_(in_use) {}

  HfAssets collect() {
    folders_.push_back({"", 0});
    while (!folders_.empty()) {
      const Folder folder = std::move(folders_.back());
      folders_.pop_back();
      list(folder);
    }
    std::ranges::sort(found_.assets, {}, &Asset::name);
    std::ranges::sort(found_.left_out, {}, &LeftOut::what);
    if (found_.left_out.size() > kMaxLeftOut) {
      const std::size_t more = found_.left_out.size() - kMaxLeftOut;
      found_.left_out.resize(kMaxLeftOut);
      found_.left_out.push_back({.what = std::to_string(more) + " more files"});
    }
    return std::move(found_);
  }

 private:
  struct Folder {
    std::string prefix;  // with the slash at its end
    int depth;
  };

  void list(const Folder& folder) {
    std::error_code error;
    const fs::path path = root_ / folder.prefix;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      add(*entry, folder);
    }
    if (error) io::throw_io(path, "list", error.value());
  }

  void add(const fs::directory_entry& entry, const Folder& folder) {
    const std::string base = entry.path().filename().string();
    const std::string name = folder.prefix + base;
    std::error_code error;
    const fs::file_status status = entry.status(error);
    if (fs::is_directory(status)) return add_folder(entry, base, name, folder.depth);
    if (!fs::is_regular_file(status)) {
      return leave_out(name, fs::exists(status) ? "not a regular file" : "a link that leads nowhere", 0);
    }
    const auto size = static_cast<std::int64_t>(entry.file_size(error));
    if (error) io::throw_io(entry.path(), "read the size", error.value());
    if (folder.depth == 0 && std::ranges::find(in_use_, base) != in_use_.end()) return;
    if (base.starts_with('.')) return leave_out(name, "hidden file", size);
    if (is_weights_name(base)) return leave_out(name, "weights that are not part of the model", size);
    if (!is_plain_name(base)) return leave_out(name, "name that cannot be kept", size);
    if (found_.assets.size() == kMaxAssets) {
      throw Error({.code = ErrorCode::Limit,
                   .message = "too many files in the directory",
                   .file = root_.string(),
                   .expected = "at most " + std::to_string(kMaxAssets)});
    }
    found_.assets.push_back({.name = name, .path = entry.path(), .size_bytes = size});
  }

  void add_folder(const fs::directory_entry& entry, const std::string& base, const std::string& name, int depth) {
    std::error_code error;
    if (base.starts_with('.')) return leave_out(name, "hidden folder", 0);
    if (entry.is_symlink(error)) return leave_out(name, "link to a folder", 0);
    if (!is_plain_name(base)) return leave_out(name, "name that cannot be kept", 0);
    if (depth == kMaxFolderDepth) return leave_out(name, "folder nested too deep", 0);
    folders_.push_back({name + "/", depth + 1});
  }

  void leave_out(const std::string& name, std::string_view why, std::int64_t size_bytes) {
    found_.left_out.push_back({.what = printable(name) + " (" + std::string(why) + ")", .size_bytes = size_bytes});
  }

  const fs::path& root_;
  std::span<const std::string> in_use_;
  std::vector<Folder> folders_;
  HfAssets found_;
};

}  // namespace

HfAssets collect_hf_assets(const fs::path& folder, std::span<const std::string> in_use) {
  return Collector(folder, in_use).collect();
}

}  // namespace mq::formats
