#include "mq/contents.hpp"

#include <string_view>
#include <unordered_map>
#include <utility>

#include "mq/checkpoint.hpp"

namespace mq {
namespace {

// Tensors grouped by the parts of their names, each group where its first tensor stands.
class NameTree {
 public:
  explicit NameTree(std::uint64_t max_depth) : max_depth_(max_depth) { nodes_.emplace_back(); }

  void add(const TensorInfo& tensor) {
    std::size_t at = 0;
    std::string_view rest = tensor.name;
    std::size_t dot = rest.find('.');
    for (std::uint64_t depth = 1; dot != std::string_view::npos && depth < max_depth_; ++depth) {
      at = child(at, rest.substr(0, dot));
      rest.remove_prefix(dot + 1);
      dot = rest.find('.');
    }
    const std::size_t leaf = append(at, rest);
    ContentNode& node = nodes_[leaf].content;
    node.kind = "tensor";
    node.dtype = tensor.dtype;
    node.shape = tensor.shape;
    node.tensors = 1;
    node.size_bytes = tensor.size_bytes();
    node.storage = tensor.storage;
  }

  // Containers before what is in them.
  std::vector<ContentNode> take() {
    sum();
    std::vector<ContentNode> out;
    struct Frame {
      std::size_t node;
      std::size_t next;
    };
    std::vector<Frame> path{{0, 0}};
    while (!path.empty()) {
      Frame& frame = path.back();
      if (frame.next == nodes_[frame.node].children.size()) {
        path.pop_back();
        continue;
      }
      const std::size_t at = nodes_[frame.node].children[frame.next++];
      ContentNode& content = out.emplace_back(std::move(nodes_[at].content));
      content.depth = static_cast<std::int32_t>(path.size() - 1);
      path.push_back({at, 0});
    }
    return out;
  }

 private:
  struct Node {
    ContentNode content;
    std::size_t parent = 0;
    std::vector<std::size_t> children;
    std::unordered_map<std::string, std::size_t> groups;
  };

  std::size_t append(std::size_t parent, std::string_view key) {
    const std::size_t at = nodes_.size();
    nodes_.emplace_back().content.key = key;
    nodes_[at].parent = parent;
    nodes_[parent].children.push_back(at);
    return at;
  }

  std::size_t child(std::size_t parent, std::string_view key) {
    const auto known = nodes_[parent].groups.find(std::string(key));
    if (known != nodes_[parent].groups.end()) return known->second;
    const std::size_t at = append(parent, key);
    nodes_[at].content.kind = "group";
    nodes_[parent].groups.emplace(key, at);
    return at;
  }

  // Children have larger indices than their parents.
  void sum() {
    for (std::size_t at = nodes_.size(); at-- > 1;) {
      ContentNode& parent = nodes_[nodes_[at].parent].content;
      parent.elements += 1;
      parent.tensors += nodes_[at].content.tensors;
      parent.size_bytes += nodes_[at].content.size_bytes;
    }
  }

  std::uint64_t max_depth_;
  std::vector<Node> nodes_;  // the first is the whole checkpoint
};

}  // namespace

std::vector<ContentNode> list_contents(const std::filesystem::path& path, const OpenOptions& options) {
  OpenOptions listing = options;
  listing.contents = true;
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path, listing);
  std::vector<ContentNode> nodes(checkpoint->contents().begin(), checkpoint->contents().end());
  NameTree names(options.limits.depth);
  for (const TensorInfo& tensor : checkpoint->tensors()) names.add(tensor);
  for (ContentNode& node : names.take()) nodes.push_back(std::move(node));
  return nodes;
}

}  // namespace mq
