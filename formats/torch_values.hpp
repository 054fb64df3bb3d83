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
  Opaque,    // any other object
  Set,       // of plain values: no tensor is looked for in it
  Array,     // of NumPy: data, but no tensor
};

// Whether it has elements.
constexpr bool is_container(ValueKind kind) noexcept {
  return kind == ValueKind::Mapping || kind == ValueKind::Sequence || kind == ValueKind::Module ||
         kind == ValueKind::Opaque;
}

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

  // Whether storages follow the pickle in one stream: their persistent ids have a field more then.
  bool is_stream() const noexcept { return is_stream_; }
  void set_stream() noexcept { is_stream_ = true; }

  // Throws: Unsupported if the pickle calls what it may not (formats/torch_globals.hpp), or, if strict, if it makes an
  // object of a class that PyTorch's own restricted loader does not allow.
  void check_calls(bool strict) const;

  ValueKind kind(NodeId id) const;

  // Of a Mapping, Sequence or Set, in order. Of a Module what its state_dict walks through: parameters, persistent
  // buffers, modules. Of an Opaque value: the arguments it was made with, its items, its attributes. Throws: Corrupt if
  // the arguments of a container class, or the dictionaries of a Module, are not what they must be.
  std::vector<Element> elements(NodeId id) const;
  // Of a Module: its attributes that state_dict leaves out, buffers that are not persistent included.
  std::vector<Element> other_attributes(NodeId id) const;
  // Throws: Corrupt if a text or an integer is twice a key of the Mapping.
  void require_unique_keys(NodeId id, const std::vector<Element>& elements) const;

  // All that a Module or Opaque value refers to.
  std::vector<NodeId> parts(NodeId id) const;

  // The element's key as part of a tensor's name, or its position in a sequence.
  std::string key_text(const Element& element, std::size_t position) const;

  // For people: "12", "'adam'", "list of 3", "object of class __main__.Config".
  std::string describe(NodeId id) const;
  // Of a Module or Opaque value: "__main__.Config".
  std::string class_name(NodeId id) const;
  // The last part of it, if the value is an object with parameters, in Python or TorchScript: "Conv2d". Else empty.
  std::string layer_type(NodeId id) const;

  // Whether the mapping has this text as a key, and its value; none otherwise.
  NodeId find(NodeId mapping, std::string_view key) const;

  [[noreturn]] void fail(ErrorCode code, NodeId at, std::string message, std::string expected = {},
                         std::string found = {}, std::string hint = {}) const;

 private:
  ValueKind find_kind(NodeId id) const;
  bool is_module_state(NodeId dict) const;
  void add_pairs(NodeId pairs, std::vector<Element>& out) const;
  void add_object(NodeId id, std::vector<Element>& out) const;
  void add_module(NodeId id, std::vector<Element>& out, std::vector<Element>* others) const;
  NodeId typed_content(NodeId id) const;
  std::string key_text(NodeId key) const;

  const pickle::Graph& graph_;
  std::string source_;
  Limits limits_;
  bool is_stream_ = false;
  mutable std::vector<std::uint8_t> kinds_;  // ValueKind + 1 of those already asked for
  mutable std::unordered_map<NodeId, bool> module_states_;
};

}  // namespace mq::formats::torch
