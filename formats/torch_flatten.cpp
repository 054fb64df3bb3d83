#include "formats/torch_flatten.hpp"

#include <string_view>
#include <unordered_set>
#include <utility>

#include "formats/limits.hpp"
#include "src/utf8.hpp"

namespace mq::formats::torch {
namespace {

// What is counted may be shared by many parts.
constexpr std::uint64_t kVisitsPerCountedElement = 4;

struct Frame {
  NodeId node;
  std::string name;  // of the container; empty for the part itself, whose name is not part of its tensors' names
  std::vector<Element> elements;
  std::string layer_type;
  std::size_t next = 0;
};

class Flattener {
 public:
  Flattener(Values& values, const Census& census, const TensorBytes& bytes_of_left_out, std::size_t max_tensors,
            VisitBudget& budget)
      : values_(values),
        census_(census),
        bytes_of_left_out_(bytes_of_left_out),
        max_tensors_(max_tensors),
        budget_(budget) {}

  Contents run(const Selection& selection) {
    std::string name;
    for (const Step& step : selection.path) name = leave_siblings(step, name);
    const ValueKind kind = values_.kind(selection.node);
    if (kind == ValueKind::Tensor) {
      add_tensor(selection.path.empty() ? "tensor" : last_key(selection), selection.node);
    } else if (is_container(kind)) {
      walk(selection.node);
    }
    if (uncounted_ > 0) contents_.left_out.push_back({"and " + std::to_string(uncounted_) + " more values", 0, 0});
    return std::move(contents_);
  }

 private:
  std::string last_key(const Selection& selection) const {
    const Step& step = selection.path.back();
    return values_.key_text(values_.elements(step.container)[step.element], step.element);
  }

  static std::string join(const std::string& container, bool named, const std::string& key) {
    return named ? container + "." + key : key;
  }

  // Accounts for the elements beside the one that was stepped into, and returns that one's name.
  std::string leave_siblings(const Step& step, const std::string& container) {
    const std::vector<Element> elements = values_.elements(step.container);
    budget_.spend(elements.size());
    const bool named = std::exchange(below_root_, true);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (i != step.element) leave_out(elements[i], i, container, named);
    }
    return join(container, named, values_.key_text(elements[step.element], step.element));
  }

  void walk(NodeId part) {
    if (census_.tensors_below(part) > max_tensors_) {
      values_.fail(ErrorCode::Limit, part, "too many tensors", "at most " + std::to_string(max_tensors_));
    }
    on_path_.assign(values_.graph().size(), false);
    std::vector<Frame> path;
    const auto enter = [&](NodeId id, std::string name) {
      leave_attributes(id, name);
      path.push_back({id, std::move(name), values_.elements(id), values_.layer_type(id)});
      budget_.spend(path.back().elements.size());
      on_path_[id] = true;
    };
    enter(part, "");
    while (!path.empty()) {
      Frame& frame = path.back();
      if (frame.next == frame.elements.size()) {
        on_path_[frame.node] = false;
        path.pop_back();
        continue;
      }
      const std::size_t position = frame.next++;
      const Element element = frame.elements[position];
      const bool named = path.size() > 1;
      if (census_.tensors_below(element.value) == 0) {
        // The settings of a layer are not the model.
        if (frame.layer_type.empty()) leave_out(element, position, frame.name, named);
        continue;
      }
      std::string name = join(frame.name, named, values_.key_text(element, position));
      const ValueKind kind = values_.kind(element.value);
      if (kind == ValueKind::Tensor) {
        add_tensor(std::move(name), element.value, frame.layer_type);
      } else if (!on_path_[element.value]) {
        enter(element.value, std::move(name));
      }
    }
  }

  // What a module holds beside its state_dict: tensors are accounted for, its settings are not the model.
  void leave_attributes(NodeId id, const std::string& name) {
    if (values_.kind(id) != ValueKind::Module) return;
    const std::vector<Element> others = values_.other_attributes(id);
    budget_.spend(others.size());
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (census_.tensors_below(others[i].value) > 0) leave_out(others[i], i, name, !name.empty());
    }
  }

  void add_tensor(std::string name, NodeId node, std::string layer_type = {}) {
    const auto refuse = [&](ErrorCode code, std::string message, std::size_t most) {
      throw Error({.code = code,
                   .message = std::move(message),
                   .file = values_.source(),
                   .tensor = name,
                   .offset = values_.graph().offset(node),
                   .expected = most == 0 ? "" : "at most " + std::to_string(most)});
    };
    if (name.size() > values_.limits().name_bytes) {
      refuse_limit(values_.limits(), &Limits::name_bytes,
                   {.message = "bytes of a name",
                    .file = values_.source(),
                    .tensor = name,
                    .offset = values_.graph().offset(node),
                    .found = std::to_string(name.size())});
    }
    names_bytes_ += name.size();
    if (names_bytes_ > kMaxNamesBytes) refuse(ErrorCode::Limit, "too many bytes of names", kMaxNamesBytes);
    if (contents_.tensors.size() == max_tensors_) refuse(ErrorCode::Limit, "too many tensors", max_tensors_);
    if (utf8_valid_bytes(name) != name.size()) refuse(ErrorCode::Corrupt, "name that is not UTF-8", 0);
    if (!names_.insert(name).second) refuse(ErrorCode::Corrupt, "two tensors have this name", 0);
    contents_.tensors.push_back({std::move(name), node, std::move(layer_type)});
  }

  void leave_out(const Element& element, std::size_t position, const std::string& container, bool named) {
    if (contents_.left_out.size() == kMaxLeftOut) {
      ++uncounted_;
      return;
    }
    const std::string key = has_text(element.key) ? values_.key_text(element, position) : "(object)";
    const std::string name = printable(join(container, named, key));
    const std::string description = values_.describe(element.value);
    const ValueKind kind = values_.kind(element.value);
    if (census_.tensors_below(element.value) > 0) {
      const bool plain = kind == ValueKind::Tensor || kind == ValueKind::Mapping || kind == ValueKind::Sequence;
      LeftOut& part = contents_.left_out.emplace_back(LeftOut{plain ? name : name + " (" + description + ")", 0, 0});
      count_tensors(element.value, name, part);
    } else if (kind == ValueKind::Scalar || kind == ValueKind::Array) {
      contents_.left_out.push_back({name + " = " + description, 0, 0});
    } else {
      contents_.left_out.push_back({name + " (" + description + ")", 0, 0});
    }
  }

  bool has_text(NodeId key) const {
    if (key == kNoNode) return true;
    const pickle::Kind kind = values_.graph().kind(key);
    return kind != pickle::Kind::Object && kind != pickle::Kind::Tuple && kind != pickle::Kind::Global;
  }

  // Each tensor of the part once, on however many paths it lies.
  void count_tensors(NodeId part, const std::string& name, LeftOut& out) {
    std::unordered_set<NodeId> reached{part};
    std::vector<NodeId> open{part};
    while (!open.empty()) {
      const NodeId id = open.back();
      open.pop_back();
      const ValueKind kind = values_.kind(id);
      if (kind == ValueKind::Tensor) {
        ++out.tensors;
        out.size_bytes += bytes_of_left_out_(id, name);
        continue;
      }
      std::vector<NodeId> inside;
      if (kind == ValueKind::Mapping || kind == ValueKind::Sequence) {
        for (const Element& element : values_.elements(id)) inside.push_back(element.value);
      } else if (is_container(kind)) {
        inside = values_.parts(id);
      }
      budget_.spend(inside.size() * kVisitsPerCountedElement);
      for (const NodeId next : inside) {
        if (census_.tensors_below(next) > 0 && reached.insert(next).second) open.push_back(next);
      }
    }
  }

  Values& values_;
  const Census& census_;
  const TensorBytes& bytes_of_left_out_;
  std::size_t max_tensors_;
  VisitBudget& budget_;
  Contents contents_;
  bool below_root_ = false;
  std::vector<bool> on_path_;
  std::unordered_set<std::string> names_;
  std::size_t names_bytes_ = 0;
  std::int64_t uncounted_ = 0;
};

}  // namespace

Contents flatten(Values& values, const Census& census, const Selection& selection, const TensorBytes& bytes_of_left_out,
                 std::size_t max_tensors, VisitBudget& budget) {
  return Flattener(values, census, bytes_of_left_out, max_tensors, budget).run(selection);
}

}  // namespace mq::formats::torch
