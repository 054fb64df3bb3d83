// Many models with one recipe: several at a time, on shared threads and memory.
#pragma once

#include "tools/mq-convert/console.hpp"
#include "tools/mq-convert/options.hpp"

namespace mq::tool {

// Converts every model of the list options.in into the folder options.out, which is made if it is missing, and prints
// one line of JSON for each as it ends. A model that fails stops no other; one whose output is there already
// (finished.hpp) is skipped. Returns the highest of the models' exit codes. Throws: Usage for a list that makes no
// sense, before anything is done; Io if the list, the folder or stdout cannot be used; Cancelled when a signal has
// come: nothing is left of outputs that were not complete.
int run_batch(const Options& options, Console& console);

}  // namespace mq::tool
