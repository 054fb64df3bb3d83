// Checkpoints: named tensors in a container, seen without knowing the container.
//
// Data is read on demand: opening reads structure only, memory use does not depend on tensor sizes. Readers check the
// whole structure when they open. A Checkpoint may be read from many threads at once; a writer too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mq/contents.hpp"
#include "mq/dtype.hpp"
#include "mq/limits.hpp"
#include "mq/shared.hpp"
#include "mq/tensor.hpp"

namespace mq {

// One stored tensor.
struct TensorInfo {
  SharedString name = {};
  DType dtype = DType::Float32;
  Shape shape = {};
  // The file inside a multi-file checkpoint that holds it ("model-00001-of-00003.safetensors"), else empty.
  SharedString file = {};
  // Tensors of one checkpoint with equal non-zero values share the same bytes (tied weights).
  std::uint64_t storage = 0;
  SharedString layer_type = {};  // class of the layer that owns it, where the container knows ("Conv2d"), else empty

  bool operator==(const TensorInfo&) const = default;
  std::int64_t numel() const { return mq::numel(shape); }
  std::int64_t size_bytes() const { return bytes_of(dtype, numel()); }
};

using MetadataValue = std::variant<bool, std::int64_t, double, std::string>;
using Metadata = std::vector<std::pair<std::string, MetadataValue>>;

// The string stored under key, or null.
const std::string* find_string(const Metadata& metadata, std::string_view key) noexcept;

// A file that lives beside the weights and belongs to the model (config.json, tokenizer.json, ...).
struct Asset {
  std::string name = {};            // file name, with '/' for files in subfolders
  std::filesystem::path path = {};  // where it can be read
  std::int64_t size_bytes = 0;

  bool operator==(const Asset&) const = default;
};

// Something the file holds that tensors() does not: a part that was not chosen ("optimizer, 244 tensors, 1.9 GB"), a
// scalar beside the model ("epoch = 12"), a file of a directory that is not carried over.
struct LeftOut {
  std::string what = {};
  std::int64_t tensors = 0;
  std::int64_t size_bytes = 0;

  bool operator==(const LeftOut&) const = default;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual std::string_view format() const noexcept = 0;            // name of the Format that opened it: "safetensors"
  virtual const std::filesystem::path& path() const noexcept = 0;  // as given to open_checkpoint

  // In the order in which the container lists them; names are unique.
  virtual std::span<const TensorInfo> tensors() const noexcept = 0;

  // Reads elements [first, first + count) of the row-major order of tensor index into out, little-endian, exactly
  // bytes_of(dtype, count) bytes. first and count are multiples of the dtype's block. Thread-safe.
  // Throws: Io, Corrupt (checksum, a file that changed since it was opened), Usage on a range outside the tensor.
  virtual void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const = 0;

  virtual const Metadata& metadata() const noexcept = 0;
  virtual std::span<const Asset> assets() const noexcept { return {}; }
  virtual std::span<const LeftOut> left_out() const noexcept { return {}; }
  // The object that the file holds, if OpenOptions::contents asked for it and the format has such (mq/contents.hpp).
  virtual std::span<const ContentNode> contents() const noexcept { return {}; }

  // Every file whose bytes this checkpoint reads: they must not be overwritten while it is open.
  virtual std::vector<std::filesystem::path> files() const { return {path()}; }
  // Throws: Corrupt if one of them has another size or time of modification than when it was opened.
  virtual void check_unchanged() const {}

  // Index of the tensor called name, if there is one.
  std::optional<std::size_t> find(std::string_view name) const noexcept;
  // The whole tensor. Throws: as read().
  Tensor read(std::size_t index) const;
};

struct OpenOptions {
  // Where the tensors are inside an object that holds more than a state dict: a path of keys joined with dots.
  // Empty: found by the documented rules. ".": everything, with full paths as names.
  std::string root = {};
  // Names of tensors change as they leave the container: what knows them by name (rules, the recognition of quantized
  // weights) sees the new ones, and config.json, whose text is not changed, must go with those.
  // Removed from the beginning of names: of each name the first one that it begins with. Each must change a name.
  std::vector<std::string> strip_prefixes = {};
  // Then OLD becomes NEW: the name OLD, or, if OLD ends with a dot, the beginning OLD of names; of each name the first
  // that fits. Each must change a name, and no two tensors may end up with one.
  std::vector<std::pair<std::string, std::string>> renames = {};
  // Whether the checksums that zip archives keep of tensor data are compared with what is read.
  bool verify_checksums = true;
  // Refuses pickles that hold objects of foreign classes, which are otherwise kept as inert data.
  bool strict = false;
  // Lists the object that a file holds instead of its tensors: contents() is filled, tensors() need not be.
  bool contents = false;
  Limits limits = {};
};

// Opens a file or a directory (a Hugging Face model, or shards with an index) by its content, never by its extension.
// Throws: Io, Corrupt, Unsupported (names what the file is), Limit, Usage for options that do not fit the file.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path, const OpenOptions& options = {});

// A key-value of a container whose values have types of their own (GGUF), as it is stored there.
struct StoredValue {
  std::string key = {};
  std::uint32_t type = 0;  // the container's number of it
  std::string bytes = {};  // little-endian

  bool operator==(const StoredValue&) const = default;
};

// What a writer lays out before the first byte of data: every tensor with its file, metadata and assets.
struct Layout {
  std::vector<TensorInfo> tensors = {};  // `file` names the shard for formats that write several; storage is ignored
  Metadata metadata = {};                // goes into every file that can hold it
  std::vector<Asset> copies = {};        // files copied unchanged beside the weights
  std::vector<std::pair<std::string, std::string>> texts = {};  // files written beside the weights: name, content
  // Of texts that are added later: their names, which must be free by then and are looked at from the start, and their
  // bytes together, at most, for which there must be space.
  std::vector<std::string> later_names = {};
  std::int64_t later_bytes = 0;
  Limits limits = {};                    // of what the output may be
  std::vector<StoredValue> values = {};  // all key-values, of formats that have such; others ignore them
};

// What a writer made with CreateOptions::resume keeps of a run that does not end: the next one need not write it again.
class PartialOutput {
 public:
  virtual ~PartialOutput() = default;

  // The folder that holds it: OUT.partial. Made if it is not there, and this process's alone until finish() has removed
  // it or the writer is destroyed. Called before CheckpointWriter::begin.
  // Throws: Io, also if another process has it.
  virtual const std::filesystem::path& open() = 0;

  // The rest are called between begin and complete.
  // Bytes of tensor index, from first_byte on, as this run or an earlier one left them. Thread-safe. Throws: Io.
  virtual void read(std::size_t index, std::int64_t first_byte, std::span<std::byte> out) const = 0;
  // Counts every byte of tensor index as written.
  virtual void keep(std::size_t index) = 0;
  // Makes durable what was written. Throws: Io.
  virtual void sync() = 0;
};

// Text that is made as it is written: calls its argument with one piece after the other. Every call of it gives the
// same.
using TextPieces = std::function<void(const std::function<void(std::string_view)>&)>;

// Writes one checkpoint, whole or not at all: nothing exists under the final name before finish() has returned, and
// destroying an unfinished writer leaves nothing behind, unless it was made to be resumed.
class CheckpointWriter {
 public:
  virtual ~CheckpointWriter() = default;

  // Called once, before write. Creates the temporary files and their headers.
  // Throws: Usage (a name or type the container cannot hold), Limit (a name too long), Io (no space, no permission).
  virtual void begin(const Layout& layout) = 0;

  // Writes a tile of tensor index seen as rows of row_bytes bytes: `rows` rows from first_row on, and of each the bytes
  // from first_byte on, data.size() / rows of them, stored one row after the other in data. Any order, any thread,
  // every byte exactly once.
  virtual void write(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
                     std::int64_t row_bytes, std::span<const std::byte> data) = 0;

  // A text file that goes with the weights but is known only after them: in a directory under this name, beside a
  // single file OUT as OUT.name. Published by finish together with the weights.
  virtual void add_text(std::string_view name, std::string content) = 0;
  // The same for a text that is too long to be held.
  virtual void add_text(std::string_view name, const TextPieces& pieces) {
    std::string content;
    pieces([&](std::string_view piece) { content += piece; });
    add_text(name, std::move(content));
  }

  // Checks that every byte was written and makes the data durable, unless asked not to. No final name is taken yet: the
  // last moment to give up. Nothing is written or added afterwards.
  virtual void complete() {}

  // complete(), if that was not called, then gives the output its final name.
  virtual void finish() = 0;

  // Null unless CreateOptions::resume asked for it.
  virtual PartialOutput* partial() noexcept { return nullptr; }

  // Bytes the output will occupy: all files with their headers. Valid after begin.
  virtual std::int64_t size_bytes() const noexcept = 0;
};

struct CreateOptions {
  bool overwrite = false;  // replace what exists under the final name
  bool sync = true;        // fsync before the final name is taken
  bool resume = false;     // build the output in OUT.partial, go on with what is there, keep it if the run fails
  std::vector<std::filesystem::path> inputs = {};  // files that the output must not replace, whatever names they have
};

// A writer of the given format: "safetensors", "gguf", "torch_zip" (one file each) or "hf_safetensors" (a directory).
// Throws: Usage for a format that cannot be written (the message names those that can) and for a path that is an input
// or holds one, Io if path exists and may not be replaced.
std::unique_ptr<CheckpointWriter> create_checkpoint(const std::filesystem::path& path, std::string_view format,
                                                    const CreateOptions& options = {});

// Bytes that the files of a layout occupy, headers included: what size_bytes() of a writer of the format says after
// begin. Writes nothing.
// Throws: Usage as create_checkpoint() and begin() do.
std::int64_t layout_size_bytes(const Layout& layout, std::string_view format);

}  // namespace mq
