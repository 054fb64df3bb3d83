// Lists a pickled object as a tree of values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/torch_backing.hpp"
#include "mq/contents.hpp"

namespace mq::formats::torch {

// Appends the object, under this key, and everything inside it. A value that is found again is listed as the same as
// before, so that the list is never longer than the pickle. Returns how many values were visited.
// Throws: Corrupt, Limit.
std::uint64_t list_object(Values& values, NodeId object, Backing& backing, std::string key,
                          std::vector<ContentNode>& out);

}  // namespace mq::formats::torch
