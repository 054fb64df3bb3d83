// Lists a pickled object as a tree of values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/torch_backing.hpp"
#include "mq/contents.hpp"

namespace mq::formats::torch {

// Appends the object, under this key, and everything inside it. A value that is found again is listed as the same as
// before, and of the plain values of one list the first hundred, so that the list is shorter than the pickle of
// pickle_bytes bytes. Returns how many values were visited.
// Throws: Corrupt; Limit, for a list that is longer because its values are shared in other ways too.
std::uint64_t list_object(Values& values, NodeId object, Backing& backing, std::string key, std::size_t pickle_bytes,
                          std::vector<ContentNode>& out);

}  // namespace mq::formats::torch
