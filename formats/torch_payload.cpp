#include "formats/torch_payload.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "formats/limits.hpp"
#include "src/json.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::int64_t kStrided = 7;

struct Code {
  std::int64_t code;
  DType dtype;
};
// The numbers of torch._export.serde.schema.ScalarType; those of c10 differ.
constexpr std::array kCodes{
    Code{1, DType::UInt8},           Code{2, DType::Int8},
    Code{3, DType::Int16},           Code{4, DType::Int32},
    Code{5, DType::Int64},           Code{6, DType::Float16},
    Code{7, DType::Float32},         Code{8, DType::Float64},
    Code{9, DType::Complex32},       Code{10, DType::Complex64},
    Code{11, DType::Complex128},     Code{12, DType::Bool},
    Code{13, DType::BFloat16},       Code{28, DType::UInt16},
    Code{29, DType::Float8E4M3FN},   Code{30, DType::Float8E5M2},
    Code{31, DType::Float8E4M3FNUZ}, Code{32, DType::Float8E5M2FNUZ},
    Code{33, DType::Float8E8M0FNU},  Code{34, DType::UInt32},
    Code{35, DType::UInt64},
};

class ListReader {
 public:
  ListReader(const Archive& archive, const std::string& list, const std::string& folder, const Limits& limits)
      : archive_(archive), source_(archive.source(list)), folder_(folder), limits_(limits) {}

  std::vector<Payload> read(const ZipRecord& record) {
    const json::Value root = json::parse(archive_.zip().read_text(record, limits_.header_bytes), source_);
    const json::Value* config = root.find("config");
    const json::Object* entries = config == nullptr ? nullptr : config->as_object();
    if (entries == nullptr) fail(ErrorCode::Corrupt, "list of tensors", "an object called config");
    if (entries->size() > limits_.entries) {
      refuse_limit(limits_, &Limits::entries,
                   {.message = "tensors", .file = source_, .found = std::to_string(entries->size())});
    }
    std::vector<Payload> payloads;
    payloads.reserve(entries->size());
    for (const auto& [name, entry] : *entries) payloads.push_back(payload(name, entry));
    return payloads;
  }

 private:
  [[noreturn]] void fail(ErrorCode code, std::string message, std::string expected = {}, std::string found = {}) const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .file = source_,
                 .tensor = std::string(name_),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  const json::Value& member(const json::Value& object, const char* key) const {
    const json::Value* found = object.find(key);
    if (found == nullptr) fail(ErrorCode::Corrupt, "entry without a member", key);
    return *found;
  }

  // {"as_int": n}
  std::int64_t number(const json::Value& value, const char* what) const {
    const json::Value* constant = value.find("as_int");
    if (constant == nullptr) fail(ErrorCode::Unsupported, std::string("symbolic ") + what + " of a stored tensor");
    const std::int64_t* n = constant->as_int();
    if (n == nullptr || *n < 0) fail(ErrorCode::Corrupt, what, "a whole number of 0 or more");
    return *n;
  }

  Shape numbers(const json::Value& value, const char* what) const {
    const json::Array* items = value.as_array();
    if (items == nullptr) fail(ErrorCode::Corrupt, what, "a list");
    if (items->size() > limits_.rank) {
      refuse_limit(limits_, &Limits::rank,
                   {.message = "dimensions of a tensor",
                    .file = source_,
                    .tensor = std::string(name_),
                    .found = std::to_string(items->size())});
    }
    Shape out;
    for (const json::Value& item : *items) out.push_back(number(item, what));
    return out;
  }

  Payload payload(const std::string& name, const json::Value& entry) {
    name_ = name;
    if (name.size() > limits_.name_bytes) {
      refuse_limit(limits_, &Limits::name_bytes,
                   {.message = "bytes of a name", .file = source_, .found = std::to_string(name.size())});
    }
    Payload out{.name = name};
    const std::string* path = member(entry, "path_name").as_string();
    if (path == nullptr) fail(ErrorCode::Corrupt, "path_name", "a text");
    out.record = archive_.find(folder_ + *path);
    if (out.record == nullptr) fail(ErrorCode::Corrupt, "the archive has no such record", folder_ + *path);
    const bool* pickled = member(entry, "use_pickle").as_bool();
    if (pickled == nullptr) fail(ErrorCode::Corrupt, "use_pickle", "true or false");
    const json::Value* meta = entry.find("tensor_meta");
    out.pickled = *pickled;
    out.is_tensor = meta != nullptr && !meta->is_null();
    if (out.is_tensor && !out.pickled) read_view(*meta, out);
    return out;
  }

  void read_view(const json::Value& meta, Payload& out) const {
    const std::int64_t* code = member(meta, "dtype").as_int();
    const auto known = code == nullptr ? kCodes.end() : std::ranges::find(kCodes, *code, &Code::code);
    if (known == kCodes.end()) {
      fail(ErrorCode::Unsupported, "element type of the tensor", "a code of torch.export",
           code == nullptr ? "no number" : std::to_string(*code));
    }
    const std::int64_t* layout = member(meta, "layout").as_int();
    if (layout == nullptr || *layout != kStrided) {
      fail(ErrorCode::Unsupported, "layout of the tensor", "7 (strided)",
           layout == nullptr ? "" : std::to_string(*layout));
    }
    out.dtype = known->dtype;
    out.view = {.offset = number(member(meta, "storage_offset"), "storage offset"),
                .shape = numbers(member(meta, "sizes"), "size"),
                .strides = numbers(member(meta, "strides"), "stride")};
    const auto item_bytes = static_cast<std::uint64_t>(info(out.dtype).block_bytes);
    const std::uint64_t elements = out.record->size_bytes / item_bytes;
    if (out.record->size_bytes == 0 && std::ranges::find(out.view.shape, 0) == out.view.shape.end()) {
      fail(ErrorCode::Unsupported, "a fake tensor (without data) is not read");
    }
    if (auto error = extent_error(out.view, item_bytes, elements)) {
      fail(error->code, std::move(error->message), std::move(error->expected), std::move(error->found));
    }
    if (std::ranges::find(out.view.shape, 0) != out.view.shape.end()) out.view.offset = 0;
  }

  const Archive& archive_;
  std::string source_;
  const std::string& folder_;
  const Limits& limits_;
  std::string_view name_;
};

}  // namespace

std::vector<Payload> read_payloads(const Archive& archive, const std::string& list, const std::string& folder,
                                   const Limits& limits) {
  return ListReader(archive, list, folder, limits).read(*archive.find(list));
}

const Blob& PayloadBlobs::blob(const Archive& archive, const ZipRecord& record) {
  const auto [known, is_new] = known_.emplace(&record, nullptr);
  if (is_new) known->second = &blobs_.emplace_back(archive.zip(), record, archive.checksums());
  return *known->second;
}

}  // namespace mq::formats::torch
