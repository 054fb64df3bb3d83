// A Hugging Face model directory, or the index of its shards, as one Checkpoint.
#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "formats/hf_assets.hpp"
#include "formats/hf_model.hpp"
#include "formats/hf_writer.hpp"
#include "formats/io/file.hpp"
#include "formats/registry.hpp"
#include "formats/tiles.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kUnlisted = ~std::uint32_t{0};

class HfCheckpoint final : public Checkpoint {
 public:
  HfCheckpoint(std::string_view format, const fs::path& path, const OpenOptions& options)
      : format_(format), path_(path) {
    HfModel model = find_hf_model(path, options.limits);
    has_index_ = !model.index.empty();
    if (has_index_) files_.push_back(model.folder / model.index);
    for (std::uint32_t shard = 0; shard < model.shards.size(); ++shard) open_shard(model, shard, options);
    if (has_index_) follow_index(model);
    std::vector<std::string> in_use = std::move(model.shards);
    in_use.push_back(std::move(model.index));
    HfAssets assets = collect_hf_assets(model.folder, in_use);
    assets_ = std::move(assets.assets);
    std::ranges::move(assets.left_out, std::back_inserter(left_out_));
  }

  std::string_view format() const noexcept override { return format_; }
  const fs::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override {
    return is_one_file() ? shards_.front()->tensors() : tensors_;
  }
  const Metadata& metadata() const noexcept override { return metadata_; }
  std::span<const Asset> assets() const noexcept override { return assets_; }
  std::span<const LeftOut> left_out() const noexcept override { return left_out_; }
  std::vector<fs::path> files() const override { return files_; }
  void check_unchanged() const override {
    for (const auto& shard : shards_) shard->check_unchanged();
  }

  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    if (is_one_file()) return shards_.front()->read(index, first, count, out);
    const Place& place = places_[require_index(index, places_.size())];
    shards_[place.shard]->read(place.index, first, count, out);
  }

 private:
  struct Place {
    std::uint32_t shard;
    std::uint32_t index;  // in the shard
  };

  // Without an index there is one file, whose tensors need not be listed twice.
  bool is_one_file() const noexcept { return !has_index_; }
  void open_shard(const HfModel& model, std::uint32_t shard, const OpenOptions& options);
  void add_tensors(std::span<const TensorInfo> infos, std::uint32_t shard, const SharedString& name);
  void add_metadata(const Checkpoint& opened, const std::string& name);
  void follow_index(const HfModel& model);

  std::string_view format_;
  fs::path path_;
  std::vector<std::unique_ptr<Checkpoint>> shards_;
  bool has_index_ = false;
  std::vector<TensorInfo> tensors_;  // of all shards, if there is an index
  std::vector<Place> places_;        // of each of them
  std::uint64_t last_storage_ = 0;
  Metadata metadata_;
  std::vector<Asset> assets_;
  std::vector<LeftOut> left_out_;
  std::vector<fs::path> files_;
};

void HfCheckpoint::open_shard(const HfModel& model, std::uint32_t shard, const OpenOptions& options) {
  const SharedString name = model.shards[shard];
  const fs::path path = model.folder / name.view();
  if (!io::is_file(path)) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "a shard is missing",
                 .file = (model.folder / model.index).string(),
                 .expected = name,
                 .hint = "the download or copy is incomplete"});
  }
  OpenOptions of_shard = options;
  of_shard.contents = false;  // a model in several files is listed by its names
  std::unique_ptr<Checkpoint> opened = open_single_file(path, of_shard);
  if (has_index_) add_tensors(opened->tensors(), shard, name);
  add_metadata(*opened, name);
  for (const LeftOut& part : opened->left_out()) {
    left_out_.push_back({name + ": " + part.what, part.tensors, part.size_bytes});
  }
  std::ranges::copy(opened->files(), std::back_inserter(files_));
  shards_.push_back(std::move(opened));
}

// Storages are numbered on: two shards never share one.
void HfCheckpoint::add_tensors(std::span<const TensorInfo> infos, std::uint32_t shard, const SharedString& name) {
  std::uint64_t last_storage = last_storage_;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    TensorInfo& tensor = tensors_.emplace_back(infos[i]);
    tensor.file = name;
    if (tensor.storage != 0) tensor.storage += last_storage_;
    last_storage = std::max(last_storage, tensor.storage);
    places_.push_back({shard, static_cast<std::uint32_t>(i)});
  }
  last_storage_ = last_storage;
}

// Shards repeat the metadata of the model; where they differ the first one counts.
void HfCheckpoint::add_metadata(const Checkpoint& opened, const std::string& name) {
  for (const auto& [key, value] : opened.metadata()) {
    const auto known = std::ranges::find(metadata_, key, &Metadata::value_type::first);
    if (known == metadata_.end()) {
      metadata_.emplace_back(key, value);
    } else if (known->second != value) {
      left_out_.push_back(
          {.what = name + ": metadata " + printable(key) + ", which differs from that of an earlier shard"});
    }
  }
}

// Keeps the tensors that the index lists, in the shard where it says; what it does not list is left out, as by loaders
// that follow it.
void HfCheckpoint::follow_index(const HfModel& model) {
  std::unordered_map<std::string_view, std::uint32_t> shard_of(model.weight_map.size());
  for (const auto& [tensor, shard] : model.weight_map) shard_of.emplace(tensor, shard);
  std::vector<LeftOut> unlisted(model.shards.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const std::uint32_t shard = places_[i].shard;
    const auto listed = shard_of.find(tensors_[i].name);
    if (listed != shard_of.end() && listed->second == shard) {
      listed->second = kUnlisted;  // found: only those that remain are missing
      std::swap(tensors_[kept], tensors_[i]);
      places_[kept++] = places_[i];
    } else {
      ++unlisted[shard].tensors;
      unlisted[shard].size_bytes += tensors_[i].size_bytes();
    }
  }
  tensors_.resize(kept);
  places_.resize(kept);
  for (const auto& [tensor, shard] : model.weight_map) {
    if (shard_of.at(tensor) == kUnlisted) continue;
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "the index lists a tensor that its shard does not hold",
                 .file = (model.folder / model.index).string(),
                 .tensor = tensor,
                 .expected = "in " + model.shards[shard]});
  }
  for (std::size_t shard = 0; shard < unlisted.size(); ++shard) {
    if (unlisted[shard].tensors == 0) continue;
    unlisted[shard].what = model.shards[shard] + ": tensors that the index does not list";
    left_out_.push_back(std::move(unlisted[shard]));
  }
}

}  // namespace

const Format kHfSafetensors{
    .name = "hf_safetensors",
    .title = "Hugging Face model directory with safetensors",
    .suffix = "",
    .matches = [](const fs::path& path) { return hf_kind(path) == HfKind::Safetensors; },
    .open = [](const fs::path& path, const OpenOptions& options) -> std::unique_ptr<Checkpoint> {
      return std::make_unique<HfCheckpoint>(kHfSafetensors.name, path, options);
    },
    .create = create_hf_directory,
    .size_bytes = hf_directory_bytes};

const Format kHfTorch{.name = "hf_torch",
                      .title = "Hugging Face model directory with PyTorch files",
                      .suffix = "",
                      .matches = [](const fs::path& path) { return hf_kind(path) == HfKind::Torch; },
                      .open = [](const fs::path& path, const OpenOptions& options) -> std::unique_ptr<Checkpoint> {
                        return std::make_unique<HfCheckpoint>(kHfTorch.name, path, options);
                      },
                      .create = nullptr};

}  // namespace mq::formats
