// Names for the tensors of a part of a saved object, and an account of everything else in it.
//
// A tensor's name is its path below the part: keys joined with dots, positions in sequences as decimal numbers. Inside
// an nn.Module the path is that of its state_dict. A value that is found on several paths has several names. A part
// that is a tensor itself is called by its key, or "tensor" if it is the whole object.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "formats/torch_select.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats::torch {

struct NamedTensor {
  std::string name;
  NodeId node = kNoNode;
  std::string layer_type = {};  // class of the module that holds it, if one does
};

struct Contents {
  std::vector<NamedTensor> tensors;  // in the order of the object
  std::vector<LeftOut> left_out;     // parts that were not selected, then what is no tensor in the part that was
};

// Bytes of a tensor that is left out.
using TensorBytes = std::function<std::int64_t(NodeId tensor, const std::string& name)>;

// Throws: Corrupt (a name twice, a name that is not UTF-8), Limit (tensors, visits, length of names).
Contents flatten(Values& values, const Census& census, const Selection& selection, const TensorBytes& bytes_of_left_out,
                 std::size_t max_tensors, VisitBudget& budget);

}  // namespace mq::formats::torch
