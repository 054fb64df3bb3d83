// Reads the arguments of a rebuild call: each is checked for its type and range.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/torch_values.hpp"
#include "mq/dtype.hpp"
#include "mq/tensor.hpp"

namespace mq::formats::torch {

class Arguments {
 public:
  // node is where errors say the call stands, name the tensor it makes. All are borrowed.
  Arguments(const Values& values, NodeId node, std::string_view name)
      : values_(values), graph_(values.graph()), node_(node), name_(name) {}

  const pickle::Graph& graph() const noexcept { return graph_; }
  const Values& values() const noexcept { return values_; }

  // Each throws Corrupt, with `what` in the message, if the value is of another type or out of range.
  std::int64_t index(NodeId id, const char* what) const;             // 0 or more
  std::int64_t integer(NodeId id, const char* what) const;           // any
  Shape indices(NodeId id, const char* what) const;                  // at most Limits::rank; torch.Size too
  std::span<const NodeId> tuple(NodeId id, const char* what) const;  // a list too
  double number(NodeId id, const char* what) const;                  // Float or Int
  std::string_view text(NodeId id, const char* what) const;          // Str or Bytes
  // Throws: Unsupported for a type that is not read.
  DType dtype(NodeId id) const;
  void require_bool(NodeId id, const char* what) const;
  void require_hooks(NodeId id) const;  // None or a mapping
  void require_count(std::size_t found, std::size_t least, std::size_t most) const;

  [[noreturn]] void fail(ErrorCode code, std::string message, std::string expected = {}, std::string found = {}) const;
  [[noreturn]] void corrupt(std::string message, std::string expected = {}, std::string found = {}) const {
    fail(ErrorCode::Corrupt, std::move(message), std::move(expected), std::move(found));
  }

 private:
  const Values& values_;
  const pickle::Graph& graph_;
  NodeId node_;
  std::string_view name_;
};

}  // namespace mq::formats::torch
