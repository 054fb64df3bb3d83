#include "formats/torch_census.hpp"

#include <algorithm>
#include <utility>

#include "formats/limits.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::uint64_t kMany = std::uint64_t{1} << 62;

// Elements of an object may be those of a list or dict that many objects share, so going through them again and again
// costs more than their first reading did.
constexpr std::uint64_t kVisitsPerSharedElement = 8;

struct Frame {
  NodeId node;
  std::vector<NodeId> children;
  std::size_t next = 0;
};

std::vector<NodeId> children_of(Values& values, NodeId id) {
  const ValueKind kind = values.kind(id);
  if (kind == ValueKind::Module || kind == ValueKind::Opaque) return values.parts(id);
  const std::vector<Element> elements = values.elements(id);
  values.require_unique_keys(id, elements);
  std::vector<NodeId> children;
  children.reserve(elements.size());
  for (const Element& element : elements) children.push_back(element.value);
  return children;
}

}  // namespace

void VisitBudget::spend(std::uint64_t visits) {
  spent_ += visits;
  if (spent_ <= limits_.visits) return;
  refuse_limit(limits_, &Limits::visits, {.message = "object with too many paths through it", .file = source_});
}

Census::Census(Values& values, NodeId root, VisitBudget& budget) : counts_(values.graph().size(), 0) {
  std::vector<bool> reached(values.graph().size(), false);
  std::vector<Frame> path;
  const auto enter = [&](NodeId id) {
    budget.spend(1);
    if (reached[id]) return;
    reached[id] = true;
    const ValueKind kind = values.kind(id);
    if (kind == ValueKind::Tensor) counts_[id] = 1;
    if (!is_container(kind)) return;
    if (path.size() == budget.limits().depth) {
      refuse_limit(
          budget.limits(), &Limits::depth,
          {.message = "containers nested too deeply", .file = values.source(), .offset = values.graph().offset(id)});
    }
    path.push_back({id, children_of(values, id)});
    const bool may_share = values.graph().kind(id) == pickle::Kind::Object;
    budget.spend(path.back().children.size() * (may_share ? kVisitsPerSharedElement : 1));
  };
  enter(root);
  while (!path.empty()) {
    Frame& frame = path.back();
    if (frame.next < frame.children.size()) {
      enter(frame.children[frame.next++]);
      continue;
    }
    // A child that is still on the path counts 0 here.
    std::uint64_t sum = 0;
    for (const NodeId child : frame.children) sum = std::min(kMany, sum + counts_[child]);
    counts_[frame.node] = sum;
    path.pop_back();
  }
}

}  // namespace mq::formats::torch
