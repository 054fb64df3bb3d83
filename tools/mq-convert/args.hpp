// The command line: from argv to Options.
#pragma once

#include <string_view>

#include "tools/mq-convert/options.hpp"

namespace mq::tool {

// Throws: Usage, with the help to turn to.
Options parse_args(int argc, const char* const* argv);

// Whether a command line that could not be parsed has this option: "--json", "--log-json".
bool has_word(int argc, const char* const* argv, std::string_view option) noexcept;

std::string_view to_string(Verb verb) noexcept;

}  // namespace mq::tool
