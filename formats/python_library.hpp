// Python's own library, as far as a reader of pickles needs to know it: its module names, and the few callables in it
// that make plain values.
#pragma once

#include <string_view>

namespace mq::formats {

// Whether a top-level module ("os", "builtins", "subprocess") belongs to the interpreter, of Python 2 or 3.
bool is_python_library(std::string_view top_level_module) noexcept;

// Whether module.name is a class or function of that library that only makes a value: a container, a number, a date,
// a path, a buffer in memory, a record of another call.
bool is_plain_value(std::string_view module, std::string_view name) noexcept;

}  // namespace mq::formats
