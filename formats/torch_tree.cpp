#include "formats/torch_tree.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "formats/limits.hpp"
#include "formats/torch_census.hpp"
#include "formats/torch_storages.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {
namespace {

// Elements of an object may be those of a dict that many objects share.
constexpr std::uint64_t kVisitsPerElement = 8;

constexpr std::size_t kShownPathBytes = 200;

// Plain values of one list that are listed.
constexpr std::size_t kShownValues = 100;

// Bytes of a pickle for each value that is listed: the shortest entry of a dict is a key and a value from the memo.
constexpr std::size_t kMinBytesPerLine = 4;
constexpr std::size_t kFreeLines = 1000;

std::string_view kind_text(ValueKind kind) {
  switch (kind) {
    case ValueKind::Mapping:
      return "dict";
    case ValueKind::Sequence:
      return "list";
    case ValueKind::Set:
      return "set";
    case ValueKind::Module:
      return "module";
    case ValueKind::Opaque:
      return "object";
    case ValueKind::Array:
      return "array";
    case ValueKind::Tensor:
      return "tensor";
    case ValueKind::Scalar:
      break;
  }
  return "scalar";
}

class Lister {
 public:
  Lister(Values& values, Backing& backing, std::size_t max_lines, std::vector<ContentNode>& out)
      : values_(values),
        storages_(values, backing),
        max_lines_(max_lines),
        budget_(values.source(), values.limits()),
        out_(out) {}

  std::uint64_t run(NodeId root, std::string key) {
    first_line_ = out_.size();
    open(root, std::move(key));
    while (!path_.empty()) {
      Frame& frame = path_.back();
      if (frame.next == frame.elements.size()) {
        close();
        continue;
      }
      const std::size_t position = frame.next++;
      const Element element = frame.elements[position];
      if (element.key == kNoNode && values_.kind(element.value) == ValueKind::Scalar && ++frame.values > kShownValues) {
        continue;
      }
      open(element.value, key_text(element, position));
    }
    return budget_.spent();
  }

 private:
  struct Frame {
    std::size_t line;  // in out_
    std::vector<Element> elements;
    std::size_t next = 0;
    std::size_t values = 0;  // plain ones without keys, so far
  };

  std::string key_text(const Element& element, std::size_t position) const {
    try {
      return values_.key_text(element, position);
    } catch (const Error&) {
      return "(object)";
    }
  }

  void open(NodeId id, std::string key) {
    const ValueKind kind = values_.kind(id);
    const std::size_t line = out_.size();
    budget_.spend(1);
    key_bytes_ += key.size();
    if (key_bytes_ > kMaxNamesBytes) {
      values_.fail(ErrorCode::Limit, id, "too many bytes of names", "at most " + std::to_string(kMaxNamesBytes));
    }
    if (parents_.size() == max_lines_) {
      values_.fail(ErrorCode::Limit, id, "more values than the pickle has room for",
                   "at most " + std::to_string(max_lines_));
    }
    parents_.push_back(path_.empty() ? line : path_.back().line);
    ContentNode& node = out_.emplace_back();
    node.depth = static_cast<std::int32_t>(path_.size());
    node.key = std::move(key);
    if (kind != ValueKind::Scalar) {
      const auto [first, is_new] = listed_.emplace(id, line);
      if (!is_new) {
        node.kind = "same";
        node.text = path_of(first->second);
        return;
      }
    }
    node.kind = kind_text(kind);
    if (kind == ValueKind::Tensor) return describe_tensor(id, node);
    if (kind == ValueKind::Scalar || kind == ValueKind::Array) {
      node.text = values_.describe(id);
      return;
    }
    if (kind == ValueKind::Module || kind == ValueKind::Opaque) node.text = values_.class_name(id);
    if (path_.size() == values_.limits().depth) {
      refuse_limit(
          values_.limits(), &Limits::depth,
          {.message = "containers nested too deeply", .file = values_.source(), .offset = values_.graph().offset(id)});
    }
    std::vector<Element> elements = values_.elements(id);
    if (kind == ValueKind::Mapping) values_.require_unique_keys(id, elements);
    if (kind == ValueKind::Module) add_attributes(id, elements);
    budget_.spend(elements.size() * kVisitsPerElement);
    node.elements = static_cast<std::int64_t>(elements.size());
    path_.push_back({line, std::move(elements)});
  }

  // Of its own book-keeping a module has a dozen attributes that are nearly always empty.
  void add_attributes(NodeId id, std::vector<Element>& out) {
    for (const Element& attribute : values_.other_attributes(id)) {
      const ValueKind kind = values_.kind(attribute.value);
      const bool none = kind == ValueKind::Scalar && values_.graph().kind(attribute.value) == pickle::Kind::None;
      const bool collection = kind == ValueKind::Mapping || kind == ValueKind::Sequence || kind == ValueKind::Set;
      const bool empty = none || (collection && values_.elements(attribute.value).empty());
      if (!empty || !key_text(attribute, 0).starts_with('_')) out.push_back(attribute);
    }
  }

  // What is below a value is known when all of it was listed.
  void close() {
    const std::size_t left = path_.back().values - std::min(path_.back().values, kShownValues);
    if (left > 0) {
      ContentNode& more = out_.emplace_back();
      more.depth = static_cast<std::int32_t>(path_.size());
      more.kind = "more";
      more.text = std::to_string(left) + " more plain values";
      parents_.push_back(path_.back().line);
    }
    const ContentNode node = out_[path_.back().line];
    path_.pop_back();
    if (!path_.empty()) add(out_[path_.back().line], node);
  }

  static void add(ContentNode& container, const ContentNode& node) {
    container.tensors += node.tensors;
    container.size_bytes += node.size_bytes;
  }

  void describe_tensor(NodeId id, ContentNode& node) {
    const TensorCall call = tensor_call(values_, id);
    node.kind = call.kind == TensorKind::Dense ? "tensor" : to_string(call.kind);
    node.tensors = 1;
    if (call.kind == TensorKind::Dense || call.kind == TensorKind::Storage) {
      try {
        const DenseTensor tensor = call.kind == TensorKind::Dense ? dense_tensor(values_, call, node.key)
                                                                  : storage_tensor(values_, call, node.key);
        const Blob& blob = storages_.find(tensor.storage, call.node, node.key);
        node.dtype = tensor.dtype;
        node.shape = tensor.view.shape;
        node.size_bytes = bytes_of(tensor.dtype, numel(tensor.view.shape));
        node.storage = storage_numbers_.emplace(&blob, storage_numbers_.size() + 1).first->second;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::Unsupported) throw;
        node.text = error.details().message;
      }
    }
    if (!path_.empty()) add(out_[path_.back().line], node);
  }

  // Keys from the root to a line, joined with dots; shortened in front.
  std::string path_of(std::size_t line) const {
    std::string path;
    for (; parents_[line - first_line_] != line; line = parents_[line - first_line_]) {
      const std::string& key = out_[line].key;
      if (path.size() + key.size() > kShownPathBytes) return "..." + path;
      path.insert(0, path.empty() ? key : key + ".");
    }
    return path;
  }

  Values& values_;
  Storages storages_;
  std::size_t max_lines_;
  VisitBudget budget_;
  std::vector<ContentNode>& out_;
  std::size_t first_line_ = 0;
  std::vector<std::size_t> parents_;  // of each line from first_line_ on; the first is its own
  std::size_t key_bytes_ = 0;
  std::vector<Frame> path_;
  std::unordered_map<NodeId, std::size_t> listed_;
  std::unordered_map<const Blob*, std::uint64_t> storage_numbers_;
};

}  // namespace

std::uint64_t list_object(Values& values, NodeId object, Backing& backing, std::string key, std::size_t pickle_bytes,
                          std::vector<ContentNode>& out) {
  return Lister(values, backing, kFreeLines + pickle_bytes / kMinBytesPerLine, out).run(object, std::move(key));
}

}  // namespace mq::formats::torch
