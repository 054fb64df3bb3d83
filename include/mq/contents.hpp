// Everything a file holds, as a tree: not only the tensors of the model, but optimizers, counters, settings, objects of
// classes that are not known. Plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mq/dtype.hpp"
#include "mq/tensor.hpp"

namespace mq {

// A value, before the values inside it. Nothing about it was executed: an object is the name of its class and the data
// that would have been given to it.
struct ContentNode {
  std::int32_t depth = 0;  // of its place in the tree; 0 for the whole object
  std::string key = {};    // in its container: a name, or a position
  std::string kind = {};   // "dict", "list", "set", "module", "object", "array", "scalar", "tensor", "quantized
                           // tensor", "sparse tensor", ..., "same" for a value that was listed before, "more" for plain
                           // values of a list beyond the first hundred
  std::string text = {};   // a scalar's value; the class of a module or object; the path of what it is the same as; how
                           // many more there are
  std::optional<DType> dtype = {};  // of a tensor: of its integers if it is quantized
  Shape shape = {};                 // of a tensor
  std::int64_t elements = 0;        // of a container
  std::int64_t tensors = 0;         // below it, each once; 1 for a tensor
  std::int64_t size_bytes = 0;      // of these tensors
  std::uint64_t storage = 0;        // tensors with equal non-zero values are views of the same bytes

  bool operator==(const ContentNode&) const = default;
};

struct OpenOptions;

// Of a file that holds a Python object, that object; of others, and of models in several files, the tensors grouped by
// the parts of their names.
// Throws: as open_checkpoint, but no tensor is refused for its kind; Limit for an object that is larger than its
// pickle.
std::vector<ContentNode> list_contents(const std::filesystem::path& path, const OpenOptions& options);

}  // namespace mq
