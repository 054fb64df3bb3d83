// The command line: from argv to Options.
#pragma once

#include <string_view>

#include "tools/mq-convert/options.hpp"

namespace mq::tool {

// Throws: Usage, with the help to turn to.
Options parse_args(int argc, const char* const* argv);

// Whether a command line that could not be parsed asked for JSON.
bool wants_json(int argc, const char* const* argv) noexcept;

std::string_view to_string(Verb verb) noexcept;

}  // namespace mq::tool
