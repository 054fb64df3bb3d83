// The tree of what is in a file.
#include <algorithm>
#include <cstddef>
#include <map>

#include "mq/error.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

// Lines that a person looks through; deeper levels are left out so that there are no more.
constexpr std::size_t kShownLines = 400;

std::int32_t shown_depth(const std::vector<ContentNode>& nodes, const Style& style) {
  std::vector<std::size_t> lines;
  for (const ContentNode& node : nodes) {
    const auto depth = static_cast<std::size_t>(node.depth);
    if (lines.size() <= depth) lines.resize(depth + 1);
    ++lines[depth];
  }
  if (style.verbose) return static_cast<std::int32_t>(lines.size());
  std::size_t shown = 0;
  std::int32_t depth = 0;
  for (; depth < static_cast<std::int32_t>(lines.size()); ++depth) {
    shown += lines[static_cast<std::size_t>(depth)];
    if (depth > 1 && shown > kShownLines) break;
  }
  return depth;
}

bool is_container(const ContentNode& node) {
  return node.kind == "dict" || node.kind == "list" || node.kind == "set" || node.kind == "module" ||
         node.kind == "object" || node.kind == "group";
}

std::string what(const ContentNode& node) {
  if (node.dtype) return (node.kind == "tensor" ? "" : node.kind + " ") + std::string(to_string(*node.dtype));
  if (node.kind == "same") return "same as " + printable(node.text);
  if (node.kind == "module" || node.kind == "object") return node.kind + " " + printable(node.text);
  if (is_container(node)) return node.kind + " of " + std::to_string(node.elements);
  if (node.kind == "scalar" || node.kind == "array" || node.kind == "more") return printable(node.text);
  return node.kind + (node.text.empty() ? "" : ": " + printable(node.text));
}

}  // namespace

std::string to_text(const Tree& tree, const Style& style) {
  const std::int32_t depth = shown_depth(tree.nodes, style);
  std::map<std::uint64_t, std::string> owners;
  Table table({{"value"}, {"what it is"}, {"shape"}, {"tensors", true}, {"bytes", true}, {""}});
  std::size_t left = 0;
  for (const ContentNode& node : tree.nodes) {
    std::string remark;
    if (node.storage != 0) {
      const auto [owner, is_new] = owners.emplace(node.storage, node.key);
      if (!is_new) remark = "shares bytes with " + printable(owner->second);
    }
    if (node.depth >= depth) {
      ++left;
      continue;
    }
    const std::string key = node.key.empty() && node.depth == 0 ? "." : printable(node.key);
    const bool container = is_container(node);
    table.add({std::string(static_cast<std::size_t>(node.depth) * 2, ' ') + key, what(node),
               node.dtype ? to_string(node.shape) : "",
               container && node.tensors > 0 ? std::to_string(node.tensors) : "",
               node.tensors > 0 ? human_bytes(node.size_bytes) : "", std::move(remark)});
  }
  std::string text = '\n' + table.text();
  if (left > 0) text += "\n" + human_count(static_cast<std::int64_t>(left)) + " deeper values: --verbose shows them\n";
  return text;
}

json::Value to_json(const Tree& tree) {
  json::Array nodes;
  for (const ContentNode& node : tree.nodes) {
    json::Value value;
    value.set("depth", static_cast<std::int64_t>(node.depth));
    value.set("key", node.key);
    value.set("kind", node.kind);
    if (!node.text.empty()) value.set("text", node.text);
    if (node.dtype) value.set("dtype", to_string(*node.dtype));
    if (node.dtype) value.set("shape", shape_array(node.shape));
    if (is_container(node)) value.set("elements", node.elements);
    value.set("tensors", node.tensors);
    value.set("size_bytes", node.size_bytes);
    if (node.storage != 0) value.set("storage", static_cast<std::int64_t>(node.storage));
    nodes.push_back(std::move(value));
  }
  return nodes;
}

}  // namespace mq::tool
