// llama.cpp's first format of importance matrices (*.dat), read only: for each weight and each of its input columns the
// sum of the squared inputs, and over how many evaluations. As in the later files, which are GGUF, a weight NAME gives
// two tensors: NAME.in_sum2, the sums, and NAME.counts, one number.
//
//   i32 entries, each: i32 length, name | i32 evaluations | i32 n >= 1 | f32[n]
//   optional: i32 chunks | i32 length, path of the text
//
// Source: ggml-org/llama.cpp, tools/imatrix. There is no magic number: a file is one of these if its first entry is.
#include <algorithm>
#include <array>
#include <cstring>

#include "formats/blob_checkpoint.hpp"
#include "formats/duplicates.hpp"
#include "formats/header_cursor.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "formats/registry.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kLongestName = 256;  // of what is taken for such a file

struct OpenedFile {
  explicit OpenedFile(const fs::path& path) : file(io::File::open(path)) {}
  io::File file;
};

bool is_name(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

bool matches(const fs::path& path) {
  if (!io::is_file(path)) return false;
  const io::File file = io::File::open(path);
  std::array<std::int32_t, 2> start{};
  std::array<std::int32_t, 2> sizes{};
  if (file.size() < sizeof start + sizeof sizes) return false;
  file.read(0, std::as_writable_bytes(std::span(start)));
  const auto [entries, length] = start;
  if (entries < 1 || length < 1 || length > kLongestName) return false;
  const auto after = sizeof start + static_cast<std::uint64_t>(length);
  if (!io::range_fits(after, sizeof sizes, file.size())) return false;
  std::string name(static_cast<std::size_t>(length), '\0');
  file.read(sizeof start, std::as_writable_bytes(std::span(name)));
  file.read(after, std::as_writable_bytes(std::span(sizes)));
  return is_name(name) && sizes[1] >= 1 && static_cast<std::uint64_t>(sizes[1]) <= file.size() / sizeof(float);
}

class Parser {
 public:
  Parser(const std::shared_ptr<const OpenedFile>& opened, const fs::path& path, const Limits& limits)
      : file_(opened->file), source_(path.string()), limits_(limits), cursor_(opened->file, limits) {
    contents_.owner = opened;
    contents_.file = &opened->file;
  }

  BlobContents parse() {
    const std::int32_t entries = number("the number of entries", 1);
    if (static_cast<std::uint64_t>(entries) > limits_.entries / 2) {
      refuse_limit(limits_, &Limits::entries,
                   {.message = "entries of the importance matrix", .file = source_, .found = std::to_string(entries)});
    }
    for (std::int32_t i = 0; i < entries; ++i) add_entry();
    if (cursor_.remaining() != 0) add_ending();
    std::vector<std::string_view> names;
    for (const TensorInfo& tensor : contents_.tensors) names.push_back(tensor.name);
    if (const auto twice = find_duplicate(std::move(names))) corrupt("two entries of one name", std::string(*twice));
    return std::move(contents_);
  }

 private:
  [[noreturn]] void corrupt(std::string message, std::string tensor = {}, std::string expected = {},
                            std::string found = {}) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = std::move(message),
                 .file = source_,
                 .tensor = std::move(tensor),
                 .offset = cursor_.offset(),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  std::int32_t number(const char* what, std::int32_t least) {
    const auto value = cursor_.number<std::int32_t>();
    if (value < least) corrupt(what, {}, std::to_string(least) + " or more", std::to_string(value));
    return value;
  }

  std::string text(const char* what) {
    const auto length = static_cast<std::uint64_t>(number(what, 0));
    if (length > limits_.name_bytes) {
      refuse_limit(limits_, &Limits::name_bytes, {.message = what, .file = source_, .found = std::to_string(length)});
    }
    std::string text = cursor_.text(length);
    if (utf8_valid_bytes(text) != text.size()) corrupt(std::string(what) + " is not UTF-8");
    return text;
  }

  void add_entry() {
    const std::string name = text("the name of a weight");
    if (name.empty()) corrupt("an entry without a name");
    const std::uint64_t counts = cursor_.offset();
    number("evaluations", std::numeric_limits<std::int32_t>::min());
    const std::int32_t columns = number("columns", 1);
    const auto bytes = static_cast<std::uint64_t>(columns) * sizeof(float);
    if (bytes > cursor_.remaining()) {
      corrupt("the file ends before the numbers of this weight", name, std::to_string(bytes) + " bytes",
              std::to_string(cursor_.remaining()));
    }
    add(name + ".in_sum2", DType::Float32, columns, cursor_.offset());
    cursor_.skip(bytes);
    add(name + ".counts", DType::Int32, 1, counts);
  }

  void add(std::string name, DType dtype, std::int64_t numel, std::uint64_t offset) {
    const auto bytes = static_cast<std::uint64_t>(bytes_of(dtype, numel));
    contents_.blobs.push_back(std::make_unique<FileBlob>(file_, offset, bytes));
    contents_.tensors.push_back({.name = std::move(name), .dtype = dtype, .shape = {numel}});
    contents_.places.push_back({.blob = contents_.blobs.back().get(), .contiguous = true});
  }

  void add_ending() {
    contents_.metadata.emplace_back("imatrix.chunk_count", std::to_string(number("chunks", 0)));
    if (cursor_.remaining() != 0) contents_.metadata.emplace_back("imatrix.datasets", text("the name of the text"));
    if (cursor_.remaining() != 0) {
      corrupt("bytes after the end of the importance matrix", {}, "none", std::to_string(cursor_.remaining()));
    }
  }

  const io::File& file_;
  std::string source_;
  const Limits& limits_;
  HeaderCursor cursor_;
  BlobContents contents_;
};

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  refuse_root(path, options);
  const auto opened = std::make_shared<const OpenedFile>(path);
  return make_blob_checkpoint(kImatrix.name, path, Parser(opened, path, options.limits).parse());
}

}  // namespace

const Format kImatrix{.name = "imatrix",
                      .title = "importance matrix of llama.cpp",
                      .suffix = ".dat",
                      .matches = matches,
                      .open = open,
                      .create = nullptr};

}  // namespace mq::formats
