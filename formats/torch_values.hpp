// What the values of a PyTorch pickle are: mappings, sequences, tensors, modules, others. Reads the graph that
// formats/pickle.hpp makes of it; creates and calls nothing.
//
// Used while a file is opened: not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/pickle_graph.hpp"
#include "formats/torch_globals.hpp"
#include "mq/error.hpp"
#include "mq/limits.hpp"

namespace mq::formats::torch {

using pickle::kNoNode;
using pickle::NodeId;

enum class ValueKind : std::uint8_t {
  Scalar,    // None, numbers, texts, bytes, names
  Tensor,    // a rebuild call of any kind, or a storage by itself
  Mapping,   // dict, OrderedDict, defaultdict, Counter, Namespace
  Sequence,  // list, tuple, torch.Size
  Module,    // an object that looks like an nn.Module: it has _parameters or _modules
  Opaque,    // any other object, a set
};

// One element of a mapping or a sequence.
struct Element {
  NodeId key = kNoNode;  // none in a sequence
  NodeId value = kNoNode;
};

class Values {
 public:
  // graph is borrowed; source names the pickle in errors ("model.pt: data.pkl").
  Values(const pickle::Graph& graph, std::string source, const Limits& limits);

  const pickle::Graph& graph() const noexcept { return graph_; }
  const std::string& source() const noexcept { return source_; }
  const Limits& limits() const noexcept { return limits_; }

  // Throws: Unsupported if the pickle calls what it may not (formats/torch_globals.hpp).
  void check_calls() const;

  ValueKind kind(NodeId id);

  // Of a Mapping or Sequence, in order.
  // Throws: Corrupt if the arguments of a container class are not those it takes.
  std::vector<Element> elements(NodeId id) const;
  // Throws: Corrupt if a text or an integer is twice a key of the Mapping.
  void require_unique_keys(NodeId id, const std::vector<Element>& elements) const;

  // All that a Module or Opaque value refers to.
  std::vector<NodeId> parts(NodeId id) const;

  // The element's key as part of a tensor's name, or its position in a sequence.
  std::string key_text(const Element& element, std::size_t position) const;

  // For people: "12", "'adam'", "list of 3", "object of class __main__.Config".
  std::string describe(NodeId id);
  // Of a Module or Opaque value that is an object: "__main__.Config".
  std::string class_name(NodeId id) const;

  // Whether the mapping has this text as a key, and its value; none otherwise.
  NodeId find(NodeId mapping, std::string_view key) const;

  [[noreturn]] void fail(ErrorCode code, NodeId at, std::string message, std::string expected = {},
                         std::string found = {}, std::string hint = {}) const;

 private:
  ValueKind find_kind(NodeId id);
  bool is_module_state(NodeId dict);
  void add_pairs(NodeId pairs, std::vector<Element>& out) const;
  std::string key_text(NodeId key) const;

  const pickle::Graph& graph_;
  std::string source_;
  Limits limits_;
  std::vector<std::uint8_t> kinds_;  // ValueKind + 1 of those already asked for
  std::unordered_map<NodeId, bool> module_states_;
};

}  // namespace mq::formats::torch
