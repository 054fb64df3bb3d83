#include "formats/renamed.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "mq/error.hpp"
#include "src/nearest.hpp"

namespace mq::formats {
namespace {

class RenamedCheckpoint final : public Checkpoint {
 public:
  RenamedCheckpoint(std::unique_ptr<Checkpoint> original, std::vector<TensorInfo> tensors)
      : original_(std::move(original)), tensors_(std::move(tensors)) {}

  std::string_view format() const noexcept override { return original_->format(); }
  const std::filesystem::path& path() const noexcept override { return original_->path(); }
  std::span<const TensorInfo> tensors() const noexcept override { return tensors_; }
  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    original_->read(index, first, count, out);
  }
  const Metadata& metadata() const noexcept override { return original_->metadata(); }
  std::span<const Asset> assets() const noexcept override { return original_->assets(); }
  std::span<const LeftOut> left_out() const noexcept override { return original_->left_out(); }
  std::vector<std::filesystem::path> files() const override { return original_->files(); }
  void check_unchanged() const override { original_->check_unchanged(); }

 private:
  std::unique_ptr<Checkpoint> original_;
  std::vector<TensorInfo> tensors_;
};

class Renamer {
 public:
  Renamer(const Checkpoint& checkpoint, const OpenOptions& options)
      : checkpoint_(checkpoint),
        options_(options),
        strips_(options.strip_prefixes.size(), false),
        renames_(options.renames.size(), false) {}

  std::vector<TensorInfo> run() {
    std::vector<TensorInfo> tensors(checkpoint_.tensors().begin(), checkpoint_.tensors().end());
    for (TensorInfo& tensor : tensors) {
      stripped_.emplace_back(strip(tensor.name));
      std::string name = replace(stripped_.back());
      if (name.empty()) refuse("the new name is empty", tensor.name);
      tensor.name = std::move(name);
    }
    require_all_used();
    require_unique(tensors);
    return tensors;
  }

 private:
  // Candidates for "did you mean"; comparing more of them, or longer ones, would only take time.
  static constexpr std::size_t kMaxCandidates = 10'000;
  static constexpr std::size_t kMaxCandidateBytes = 128;
  static constexpr std::size_t kMaxListed = 6;

  static bool matches(std::string_view name, std::string_view old) {
    return old.ends_with('.') ? name.starts_with(old) : name == old;
  }

  std::string_view strip(std::string_view name) {
    for (std::size_t i = 0; i < strips_.size(); ++i) {
      if (!name.starts_with(options_.strip_prefixes[i])) continue;
      strips_[i] = true;
      return name.substr(options_.strip_prefixes[i].size());
    }
    return name;
  }

  std::string replace(std::string_view name) {
    for (std::size_t i = 0; i < renames_.size(); ++i) {
      const auto& [old, replacement] = options_.renames[i];
      if (!matches(name, old)) continue;
      renames_[i] = true;
      return replacement + std::string(name.substr(old.size()));
    }
    return std::string(name);
  }

  [[noreturn]] void refuse(std::string message, const std::string& tensor, std::string expected = {},
                           std::string found = {}, std::string hint = {}) const {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::move(message),
                 .file = checkpoint_.path().string(),
                 .tensor = tensor,
                 .expected = std::move(expected),
                 .found = std::move(found),
                 .hint = std::move(hint)});
  }

  void require_all_used() const {
    std::vector<std::string> originals;
    for (const TensorInfo& tensor : checkpoint_.tensors()) originals.push_back(tensor.name);
    for (std::size_t i = 0; i < strips_.size(); ++i) {
      if (!strips_[i]) refuse_unused("prefix to strip", options_.strip_prefixes[i], true, originals);
    }
    for (std::size_t i = 0; i < renames_.size(); ++i) {
      const std::string& old = options_.renames[i].first;
      if (!renames_[i]) refuse_unused("name to replace", old, old.ends_with('.'), stripped_);
    }
  }

  [[noreturn]] void refuse_unused(std::string what, const std::string& word, bool is_prefix,
                                  const std::vector<std::string>& names) const {
    const auto occurs = [&](const std::string& name) { return is_prefix ? name.starts_with(word) : name == word; };
    if (std::ranges::any_of(names, occurs)) {
      refuse(what + " is never used: one given before takes all its names", {}, {}, word);
    }
    // What could have been meant: whole names, and their beginnings up to a dot.
    std::set<std::string_view> candidates;
    for (std::string_view name : names) {
      if (candidates.size() >= kMaxCandidates) break;
      if (name.size() <= kMaxCandidateBytes && !is_prefix) candidates.insert(name);
      for (std::size_t dot = name.find('.'); is_prefix && dot < kMaxCandidateBytes; dot = name.find('.', dot + 1)) {
        candidates.insert(name.substr(0, dot + 1));
      }
    }
    const std::vector<std::string_view> list(candidates.begin(), candidates.end());
    std::string there;
    for (std::size_t i = 0; i < std::min(list.size(), kMaxListed); ++i) {
      there += (i == 0 ? "" : ", ") + std::string(list[i]);
    }
    if (list.size() > kMaxListed) there += ", ...";
    refuse(what + (is_prefix ? ": no name begins so" : ": there is no such tensor"), {},
           there.empty() ? "" : "one of " + there, word, did_you_mean(word, list));
  }

  void require_unique(const std::vector<TensorInfo>& tensors) const {
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(std::string_view(tensors[i].name), i); });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (tensors[order[i]].name != tensors[order[i - 1]].name) continue;
      const auto original = [&](std::size_t at) { return checkpoint_.tensors()[order[at]].name; };
      refuse("two tensors would have this name", tensors[order[i]].name, {}, original(i - 1) + " and " + original(i));
    }
  }

  const Checkpoint& checkpoint_;
  const OpenOptions& options_;
  std::vector<bool> strips_;  // which changed a name
  std::vector<bool> renames_;
  std::vector<std::string> stripped_;  // the names between the two
};

}  // namespace

std::unique_ptr<Checkpoint> renamed(std::unique_ptr<Checkpoint> checkpoint, const OpenOptions& options) {
  if (options.strip_prefixes.empty() && options.renames.empty()) return checkpoint;
  std::vector<TensorInfo> tensors = Renamer(*checkpoint, options).run();
  return std::make_unique<RenamedCheckpoint>(std::move(checkpoint), std::move(tensors));
}

}  // namespace mq::formats
