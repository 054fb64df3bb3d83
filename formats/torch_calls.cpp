// Finds the rebuild call inside the wrappers around a tensor.
#include <string>
#include <utility>

#include "formats/limits.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {
namespace {

using pickle::Kind;
using pickle::Object;

TensorKind kind_of(Callable function) {
  switch (function) {
    case Callable::Quantized:
      return TensorKind::Quantized;
    case Callable::Sparse:
      return TensorKind::Sparse;
    case Callable::Meta:
      return TensorKind::Meta;
    case Callable::Nested:
      return TensorKind::Nested;
    case Callable::Subclass:
      return TensorKind::Subclass;
    case Callable::FromNumpy:
      return TensorKind::Device;
    default:
      return TensorKind::Dense;
  }
}

bool makes_tensor(Callable function) {
  return function != Callable::Unknown && function <= Callable::FromCpu;
}

// Steps from a call to the one that it wraps.
class Unwrapper {
 public:
  Unwrapper(const Values& values, NodeId tensor) : values_(values), graph_(values.graph()), node_(tensor) {}

  TensorCall run() {
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
      if (graph_.kind(node_) == Kind::PersistentId) {
        const NodeId id = graph_.persistent_id(node_);
        const TensorKind kind = graph_.kind(id) == Kind::Tuple ? TensorKind::Storage : TensorKind::Reference;
        return {kind, Callable::Unknown, node_, id, cast_};
      }
      if (graph_.kind(node_) != Kind::Object) refuse("a wrapper that does not hold a tensor");
      const Object& object = graph_.object(node_);
      function_ = callable(graph_.global(object.callable));
      arguments_ = object.args;
      if (function_ == Callable::FromTypeV2 || function_ == Callable::FromType) take_inner_call();
      if (!object.entries.empty() || !object.items.empty()) refuse("a tensor into which something was stored");
      if (const NodeId inner = wrapped(object); inner != kNoNode) {
        node_ = inner;
        continue;
      }
      if (!makes_tensor(function_)) refuse("a wrapper that does not hold a tensor");
      return {kind_of(function_), function_, node_, arguments_, cast_};
    }
    refuse("a tensor inside too many wrappers");
  }

 private:
  [[noreturn]] void refuse(std::string message) const { values_.fail(ErrorCode::Corrupt, node_, std::move(message)); }

  // _rebuild_from_type_v2(function, class, arguments, attributes): the tensor is function(*arguments).
  void take_inner_call() {
    const auto args = graph_.items(arguments_);
    if (args.size() != 4 || graph_.kind(args[0]) != Kind::Global || graph_.kind(args[1]) != Kind::Global ||
        graph_.kind(args[2]) != Kind::Tuple) {
      refuse("arguments of a tensor subclass");
    }
    function_ = callable(graph_.global(args[0]));
    arguments_ = args[2];
    if (function_ == Callable::FromTypeV2 || function_ == Callable::FromType || function_ == Callable::OldTensor ||
        function_ == Callable::OldParameter) {
      refuse("function of a tensor subclass");
    }
    if (function_ == Callable::Unknown) {
      const std::string name = pickle::to_string(graph_.global(args[0]));
      values_.fail(ErrorCode::Unsupported, node_, "a tensor subclass rebuilt by " + name + " is not read");
    }
  }

  // The tensor that this call wraps, or none. Classes of old versions keep their data in the state.
  NodeId wrapped(const Object& object) {
    const auto args = graph_.items(arguments_);
    const bool old = function_ == Callable::OldTensor || function_ == Callable::OldParameter;
    const std::size_t states = old && object.state != kNoNode && graph_.kind(object.state) == Kind::Tuple
                                   ? graph_.items(object.state).size()
                                   : 0;
    if (object.state != kNoNode && states == 0) refuse("a tensor with a state");
    switch (function_) {
      case Callable::Parameter:
        if (args.size() != 3) refuse("arguments of a parameter");
        return args[0];
      case Callable::ParameterWithState:
        if (args.size() != 4) refuse("arguments of a parameter");
        return args[0];
      case Callable::FromCpu:
        if (args.size() != 4) refuse("arguments of a tensor of another device");
        cast_ = args[1];
        return args[0];
      case Callable::OldParameter:
        if (states == 5) return graph_.items(object.state)[0];  // (data, gradient, hooks, requires_grad, volatile)
        if (!args.empty()) return args[0];                      // Variable(data)
        [[fallthrough]];
      case Callable::OldTensor:
        if (states != 4) refuse("state of a tensor");  // (storage, offset, size, stride)
        if (function_ == Callable::OldParameter) function_ = Callable::Tensor;
        arguments_ = object.state;
        return kNoNode;
      default:
        return kNoNode;
    }
  }

  const Values& values_;
  const pickle::Graph& graph_;
  NodeId node_;
  Callable function_ = Callable::Unknown;
  NodeId arguments_ = kNoNode;
  NodeId cast_ = kNoNode;
};

}  // namespace

std::string_view to_string(TensorKind kind) noexcept {
  switch (kind) {
    case TensorKind::Dense:
      return "dense tensor";
    case TensorKind::Quantized:
      return "quantized tensor";
    case TensorKind::Sparse:
      return "sparse tensor";
    case TensorKind::Meta:
      return "meta tensor (without data)";
    case TensorKind::Nested:
      return "nested tensor";
    case TensorKind::Subclass:
      return "wrapper subclass of a tensor";
    case TensorKind::Device:
      return "tensor rebuilt from another device";
    case TensorKind::Storage:
      return "storage without a tensor";
    case TensorKind::Reference:
      return "reference to a tensor";
  }
  return "tensor";
}

TensorCall tensor_call(const Values& values, NodeId tensor) {
  return Unwrapper(values, tensor).run();
}

}  // namespace mq::formats::torch
