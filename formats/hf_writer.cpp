#include "formats/hf_writer.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/file_names.hpp"
#include "formats/io/atomic_output.hpp"
#include "formats/io/file.hpp"
#include "formats/partial_tiles.hpp"
#include "formats/safetensors_layout.hpp"
#include "formats/text_pieces.hpp"
#include "formats/tiles.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOnlyShard = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

// One file of weights: the tensors in it, by their index in the layout.
struct Shard {
  std::vector<std::size_t> members;
  FileLayout layout;
};

// A directory that holds something else than a model was named by mistake.
void require_model_directory(const fs::path& path) {
  std::error_code error;
  bool empty = true;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (is_weights_name(entry.path().filename().string())) return;
    empty = false;
  }
  if (error) io::throw_io(path, "list", error.value());
  if (empty) return;
  throw Error({.code = ErrorCode::Io,
               .message = "exists and is not replaced, because it holds no weights and may not be a model",
               .file = path.string(),
               .hint = "remove it, or choose another name"});
}

// Names of the shards with their tensors, sorted.
std::map<std::string, Shard> group(const Layout& layout) {
  std::map<std::string, Shard> shards;
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) shards[layout.tensors[i].file].members.push_back(i);
  if (shards.size() <= 1) {
    Shard only = shards.empty() ? Shard() : std::move(shards.begin()->second);
    shards.clear();
    shards.emplace(kOnlyShard, std::move(only));
  }
  for (const auto& [name, shard] : shards) {
    if (is_plain_name(name) && is_safetensors_name(name)) continue;
    throw Error({.code = ErrorCode::Usage,
                 .message = "name of a shard",
                 .tensor = layout.tensors[shard.members.front()].name,
                 .expected = "a plain file name that ends in .safetensors",
                 .found = name});
  }
  return shards;
}

void require_unique_tensors(const Layout& layout) {
  std::vector<std::string_view> names;
  names.reserve(layout.tensors.size());
  for (const TensorInfo& tensor : layout.tensors) names.emplace_back(tensor.name);
  if (const auto twice = find_duplicate(std::move(names))) {
    throw Error({.code = ErrorCode::Usage, .message = "tensor name twice", .tensor = std::string(*twice)});
  }
}

// As transformers writes it: members in the order of their names, a newline at the end.
std::string index_text(const Layout& layout, const std::map<std::string, Shard>& shards) {
  std::vector<std::pair<std::string_view, std::string_view>> weight_map;
  weight_map.reserve(layout.tensors.size());
  std::int64_t total = 0;
  for (const auto& [name, shard] : shards) {
    for (const std::size_t i : shard.members) {
      weight_map.emplace_back(layout.tensors[i].name, name);
      total += layout.tensors[i].size_bytes();
    }
  }
  std::ranges::sort(weight_map);
  // Printed by hand: a tree of so many names would take several times their room.
  std::string text =
      "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(total) + "\n  },\n  \"weight_map\": {";
  for (const auto& [tensor, shard] : weight_map) {
    text += text.back() == '{' ? "\n    " : ",\n    ";
    json::append_string(text, tensor);
    text += ": ";
    json::append_string(text, shard);
  }
  return text + "\n  }\n}\n";
}

// Everything that a directory will hold but for texts that are added later.
struct Contents {
  std::map<std::string, Shard> shards;
  std::vector<std::pair<std::string, std::string>> texts;
  std::int64_t size_bytes = 0;
};

Contents contents_of(const Layout& layout, const fs::path& path) {
  require_unique_tensors(layout);
  Contents contents{.shards = group(layout), .texts = layout.texts};
  if (contents.shards.size() > 1) contents.texts.emplace_back(kIndex, index_text(layout, contents.shards));
  for (auto& [name, shard] : contents.shards) {
    std::vector<const TensorInfo*> members;
    members.reserve(shard.members.size());
    for (const std::size_t i : shard.members) members.push_back(&layout.tensors[i]);
    shard.layout = lay_out_safetensors(members, layout.metadata, layout.limits, path / name);
    contents.size_bytes += static_cast<std::int64_t>(shard.layout.size_bytes);
  }
  for (const auto& [name, content] : contents.texts) contents.size_bytes += static_cast<std::int64_t>(content.size());
  for (const Asset& asset : layout.copies) contents.size_bytes += asset.size_bytes;
  return contents;
}

// The directory while it is built, and the name it will have.
struct Root {
  fs::path folder = {};
  fs::path named = {};
};

// What an earlier run has left is gone on with.
io::File create_below(const Root& root, const std::string& name, std::uint64_t size_bytes) {
  const fs::path path = root.folder / name;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) io::throw_io((root.named / name).parent_path(), "create", error.value());
  io::File file = io::File::open_or_create(path, root.named / name);
  if (file.size() > size_bytes) file.truncate(size_bytes);
  file.resize(size_bytes);
  return file;
}

// Returns its size.
std::int64_t write_text(const Root& root, const std::string& name, const TextPieces& pieces) {
  io::File file = create_below(root, name, 0);
  const std::uint64_t size_bytes = write_pieces(file, pieces);
  file.close();
  return static_cast<std::int64_t>(size_bytes);
}

void copy_asset(const Root& root, const Asset& asset) {
  const io::File source = io::File::open(asset.path);
  if (source.size() != static_cast<std::uint64_t>(asset.size_bytes)) {
    throw Error({.code = ErrorCode::Io,
                 .message = "the file changed before it was copied",
                 .file = asset.path.string(),
                 .expected = std::to_string(asset.size_bytes) + " bytes",
                 .found = std::to_string(source.size())});
  }
  io::File copy = create_below(root, asset.name, source.size());
  Buffer buffer(kCopyBytes);
  for (std::uint64_t done = 0; done < source.size();) {
    const auto step = std::min<std::uint64_t>(source.size() - done, buffer.size());
    const auto chunk = buffer.span().first(static_cast<std::size_t>(step));
    source.read(done, chunk);
    copy.write(done, chunk);
    done += step;
  }
  source.check_unchanged();
  copy.close();
}

class HfWriter final : public CheckpointWriter {
 public:
  HfWriter(const fs::path& path, const CreateOptions& options)
      : path_(path),
        sync_(options.sync),
        partial_(make_partial(path, options, tiles_)),
        output_(path, {options.overwrite, options.inputs, partial_ ? &partial_->folder() : nullptr}) {
    if (io::is_folder(path)) require_model_directory(path);
  }

  void begin(const Layout& layout) override {
    Contents contents = contents_of(layout, path_);
    for (const auto& [name, shard] : contents.shards) take_name(name);
    for (const auto& [name, content] : contents.texts) take_name(name);
    for (const Asset& asset : layout.copies) take_name(asset.name);
    size_bytes_ = contents.size_bytes;
    root_ = {output_.create(static_cast<std::uint64_t>(size_bytes_ + layout.later_bytes)), path_};
    if (partial_) remove_others();
    create_shards(layout, contents.shards);
    for (const auto& [name, content] : contents.texts) {
      write_text(root_, name, [&text = content](const auto& take) { take(text); });
    }
    for (const Asset& asset : layout.copies) copy_asset(root_, asset);
  }

  void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
             std::int64_t row_bytes, std::span<const std::byte> data) override {
    tiles_.write(index, first_row, rows, first_byte, row_bytes, data);
  }

  void add_text(std::string_view name, std::string content) override {
    add_text(name, [&](const auto& take) { take(content); });
  }
  void add_text(std::string_view name, const TextPieces& pieces) override {
    if (root_.folder.empty()) throw Error(ErrorCode::Usage, "a text is added between begin and finish");
    take_name(std::string(name));
    size_bytes_ += write_text(root_, std::string(name), pieces);
  }

  void complete() override {
    if (completed_) return;
    if (root_.folder.empty()) throw Error(ErrorCode::Usage, "an output is finished after it was begun");
    tiles_.require_complete();
    // After one failure a second fsync would know nothing of the bytes that were lost.
    if (std::exchange(completing_, true)) {
      throw Error(
          {.code = ErrorCode::Usage, .message = "output could not be completed before", .file = path_.string()});
    }
    for (io::File& file : files_) file.close();
    if (sync_) output_.sync();
    completed_ = true;
  }

  void finish() override {
    complete();
    root_ = {};
    output_.commit(sync_);
    if (partial_) partial_->folder().remove();
  }

  PartialOutput* partial() noexcept override { return partial_.get(); }

  std::int64_t size_bytes() const noexcept override { return size_bytes_; }

 private:
  void take_name(const std::string& name) {
    if (!is_relative_name(name) || !names_.insert(name).second) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "name of a file in the output directory",
                   .file = path_.string(),
                   .expected = "a relative name that no other file has",
                   .found = name});
    }
  }

  // What has no name of this output may have come from the one that an earlier run was replacing.
  void remove_others() const {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_.folder, error)) {
      const bool keeps =
          entry.is_directory() || names_.contains(entry.path().lexically_relative(root_.folder).string());
      if (!keeps) fs::remove(entry.path(), error);
      if (error) break;
    }
    if (error) io::throw_io(path_, "empty the folder", error.value());
  }

  void create_shards(const Layout& layout, std::map<std::string, Shard>& shards) {
    std::vector<std::pair<const io::File*, std::uint64_t>> places(layout.tensors.size());
    files_.reserve(shards.size());  // places point into it
    for (auto& [name, shard] : shards) {
      const io::File& file = files_.emplace_back(create_below(root_, name, shard.layout.size_bytes));
      file.write(0, std::as_bytes(std::span(shard.layout.header)));
      std::string().swap(shard.layout.header);  // of a million tensors: as large as all that is kept of them here
      for (std::size_t i = 0; i < shard.members.size(); ++i) {
        places[shard.members[i]] = {&file, shard.layout.offsets[i]};
      }
    }
    tiles_.reserve(places.size());
    for (std::size_t i = 0; i < places.size(); ++i) tiles_.add(layout.tensors[i], *places[i].first, places[i].second);
  }

  fs::path path_;
  bool sync_;
  TileWriter tiles_;
  std::unique_ptr<PartialTiles> partial_;
  io::AtomicDirectory output_;
  Root root_;  // between begin and finish
  bool completing_ = false;
  bool completed_ = false;
  std::vector<io::File> files_;
  std::set<std::string> names_;
  std::int64_t size_bytes_ = 0;
};

}  // namespace

std::unique_ptr<CheckpointWriter> create_hf_directory(const fs::path& path, const CreateOptions& options) {
  return std::make_unique<HfWriter>(path, options);
}

std::int64_t hf_directory_bytes(const Layout& layout) {
  return contents_of(layout, {}).size_bytes;
}

}  // namespace mq::formats
