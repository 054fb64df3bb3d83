#include "formats/torch_select.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace mq::formats::torch {
namespace {

constexpr std::array<std::string_view, 8> kModelKeys{"state_dict", "model_state_dict", "model", "module",
                                                     "net",        "params",           "ema",   "generator"};

bool is_object(ValueKind kind) {
  return kind == ValueKind::Module || kind == ValueKind::Opaque;
}

class Selector {
 public:
  Selector(Values& values, const Census& census, NodeId root, VisitBudget& budget)
      : values_(values), census_(census), root_(root), budget_(budget) {}

  Selection by_path(std::string_view path) {
    if (path == ".") return {root_, {}};
    // Keys may hold dots themselves, so every key that begins the rest of the path is tried, shorter rests first.
    struct Attempt {
      Selection at;
      std::string_view rest;
    };
    std::vector<Attempt> open{{{root_, {}}, path}};
    while (!open.empty()) {
      const Attempt attempt = std::move(open.back());
      open.pop_back();
      if (!is_container(values_.kind(attempt.at.node))) continue;
      const std::vector<Element> elements = values_.elements(attempt.at.node);
      budget_.spend(elements.size());
      for (std::size_t i = 0; i < elements.size(); ++i) {
        if (!has_name(elements[i])) continue;
        const std::string key = values_.key_text(elements[i], i);
        if (!attempt.rest.starts_with(key)) continue;
        Selection next{elements[i].value, attempt.at.path};
        next.path.push_back({attempt.at.node, i});
        const std::string_view rest = attempt.rest.substr(key.size());
        if (rest.empty()) return next;
        if (rest.starts_with('.')) open.push_back({std::move(next), rest.substr(1)});
      }
    }
    throw Error({.code = ErrorCode::Usage,
                 .message = "the file has no part of this name",
                 .file = values_.source(),
                 .expected = names_of_parts(),
                 .found = std::string(path)});
  }

  Selection by_rules() {
    const ValueKind kind = values_.kind(root_);
    if (kind == ValueKind::Tensor) return {root_, {}};
    if (kind == ValueKind::Module) return {root_, {}};
    if (is_container(kind)) {
      if (is_flat(root_)) return {root_, {}};
      if (kind != ValueKind::Sequence) {
        if (const std::optional<Selection> named = by_key()) return *named;
      }
      if (const std::optional<Selection> largest = by_size()) return *largest;
    }
    values_.fail(ErrorCode::Unsupported, root_, "the file holds no tensors", {}, values_.describe(root_));
  }

 private:
  // Keys like objects have no name; what they lead to is not a model.
  bool has_name(const Element& element) const {
    if (element.key == kNoNode) return true;
    const pickle::Kind kind = values_.graph().kind(element.key);
    return kind == pickle::Kind::Str || kind == pickle::Kind::Int || kind == pickle::Kind::Bytes;
  }

  std::string names_of_parts() {
    std::string names;
    if (!is_container(values_.kind(root_))) return names;
    const std::vector<Element> elements = values_.elements(root_);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (!has_name(elements[i]) || census_.tensors_below(elements[i].value) == 0) continue;
      if (names.size() > 200) return names + ", ...";
      if (!names.empty()) names += ", ";
      names += values_.key_text(elements[i], i);
    }
    return names;
  }

  bool is_flat(NodeId id) {
    bool any = false;
    for (const Element& element : values_.elements(id)) {
      const bool tensor = values_.kind(element.value) == ValueKind::Tensor;
      any = any || tensor;
      if (!tensor && census_.tensors_below(element.value) > 0) return false;
    }
    return any;
  }

  std::optional<Selection> by_key() {
    const std::vector<Element> elements = values_.elements(root_);
    for (const std::string_view key : kModelKeys) {
      for (std::size_t i = 0; i < elements.size(); ++i) {
        const Element& element = elements[i];
        if (element.key == kNoNode || values_.graph().kind(element.key) != pickle::Kind::Str ||
            values_.graph().text(element.key) != key) {
          continue;
        }
        if (census_.tensors_below(element.value) == 0) continue;
        const ValueKind kind = values_.kind(element.value);
        if (kind == ValueKind::Mapping || is_object(kind)) return Selection{element.value, {{root_, i}}};
      }
    }
    return std::nullopt;
  }

  // Looks at every container once, outer ones first.
  std::optional<Selection> by_size() {
    std::unordered_map<NodeId, Step> parents{{root_, {}}};
    std::vector<NodeId> order{root_};
    NodeId best = kNoNode;
    std::uint64_t most = 0;
    for (std::size_t next = 0; next < order.size(); ++next) {
      const NodeId id = order[next];
      if (values_.kind(id) == ValueKind::Module) {
        if (census_.tensors_below(id) > std::exchange(most, std::max(most, census_.tensors_below(id)))) best = id;
        continue;
      }
      const std::vector<Element> elements = values_.elements(id);
      budget_.spend(elements.size());
      std::uint64_t direct = 0;
      for (std::size_t i = 0; i < elements.size(); ++i) {
        const NodeId value = elements[i].value;
        if (values_.kind(value) == ValueKind::Tensor) ++direct;
        if (values_.kind(value) == ValueKind::Tensor || census_.tensors_below(value) == 0) continue;
        if (parents.emplace(value, Step{id, i}).second && !is_optimizer(values_, value)) order.push_back(value);
      }
      if (direct > most) {
        most = direct;
        best = id;
      }
    }
    if (best == kNoNode) return std::nullopt;
    Selection selection{best, {}};
    for (NodeId id = best; id != root_; id = parents[id].container) selection.path.push_back(parents[id]);
    std::ranges::reverse(selection.path);
    return selection;
  }

  Values& values_;
  const Census& census_;
  NodeId root_;
  VisitBudget& budget_;
};

}  // namespace

bool is_optimizer(Values& values, NodeId id) {
  const ValueKind kind = values.kind(id);
  if (kind == ValueKind::Opaque) return values.class_name(id).starts_with("torch.optim.");
  return kind == ValueKind::Mapping && values.find(id, "state") != kNoNode &&
         values.find(id, "param_groups") != kNoNode;
}

Selection select(Values& values, const Census& census, NodeId root, std::string_view path, VisitBudget& budget) {
  Selector selector(values, census, root, budget);
  return path.empty() ? selector.by_rules() : selector.by_path(path);
}

}  // namespace mq::formats::torch
