// Other names for the tensors of a checkpoint, whatever its container.
#pragma once

#include <memory>

#include "mq/checkpoint.hpp"

namespace mq::formats {

// The checkpoint with the names that strip_prefixes and renames of the options give its tensors; everything else stays
// what it is. Without any, the checkpoint itself.
// Throws: Usage for a prefix or an OLD that changes no name, for tensors that would have one name or none.
std::unique_ptr<Checkpoint> renamed(std::unique_ptr<Checkpoint> checkpoint, const OpenOptions& options);

}  // namespace mq::formats
