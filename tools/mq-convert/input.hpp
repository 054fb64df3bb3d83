// The checkpoint that a command reads.
#pragma once

#include <memory>

#include "mq/checkpoint.hpp"
#include "tools/mq-convert/options.hpp"

namespace mq::tool {

struct Input {
  std::unique_ptr<Checkpoint> checkpoint;
  InputNames names = {};  // of the recipe, with all folds as they were done
};

// Opens options.in and folds batch normalizations, as the options ask.
// Throws: as open_checkpoint() and fold_batch_norms().
Input open_input(const Options& options);

}  // namespace mq::tool
