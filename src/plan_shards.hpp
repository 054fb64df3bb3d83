// Which file of a model folder holds which tensors.
#pragma once

#include "mq/plan.hpp"

namespace mq {

// Gives the tensors of a plan whose output is a directory their files: those of the source, or, if the recipe limits
// the size of a shard, as few as hold the steps in their order. The tensors of one step stay together. A new shard
// begins before a header grows beyond what readers accept.
// Throws: Usage for a limit where a single file is written.
void assign_shards(Plan& plan);

}  // namespace mq
