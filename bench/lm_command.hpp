// The command line of mq-bench-lm.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace mq::bench {

// Evaluates what the arguments (without the program's name) ask for; rows are printed as they are ready, --json when
// all are. Returns the exit code: 0, or that of the error, which is printed to err.
int run_lm(std::span<const std::string> arguments, std::ostream& out, std::ostream& err);

}  // namespace mq::bench
