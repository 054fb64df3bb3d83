// Which part of a saved object is the model.
//
// People save state dicts, and dicts that hold one beside an optimizer, counters and settings. Without being told, the
// part is chosen in this order:
// 1. the object itself, if it is an nn.Module, or a container that holds tensors and none of its other values holds
// any;
// 2. the first of these keys of the object whose value is a mapping, a module or an object that holds tensors:
// state_dict,
//    model_state_dict, model, module, net, params, ema, generator;
// 3. the container, at any depth, with the most tensors directly in it; the first of equals. An nn.Module counts with
//    all tensors inside. Optimizers (mappings with state and param_groups) do not compete.
// Objects of other classes are containers of what they were made with, their items and their attributes.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "formats/torch_census.hpp"
#include "formats/torch_values.hpp"

namespace mq::formats::torch {

// A step down: into which element of which container.
struct Step {
  NodeId container = kNoNode;
  std::size_t element = 0;
};

struct Selection {
  NodeId node = kNoNode;
  std::vector<Step> path;  // from the whole object to the node
};

// Follows a path of keys joined with dots; "." is the whole object, an empty path asks for the rules above.
// Throws: Usage if nothing has that path; Unsupported if no tensor is found or if what holds them is not read.
Selection select(Values& values, const Census& census, NodeId root, std::string_view path, VisitBudget& budget);

// Whether the mapping is the state of an optimizer.
bool is_optimizer(Values& values, NodeId id);

}  // namespace mq::formats::torch
