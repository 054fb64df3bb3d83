// What the names in a pickle would bring into a Python process.
#pragma once

#include <string_view>

#include "formats/pickle_graph.hpp"
#include "mq/audit.hpp"

namespace mq::formats::audit {

struct Judgement {
  Verdict verdict = Verdict::Inert;
  std::string_view reason;  // a literal
};

// Of a name that is called, or handed to something that may call it.
Judgement judge_call(const pickle::Global& global) noexcept;

// Of a name that is only mentioned: types and arithmetic of Python's library are let through.
Judgement judge_mention(const pickle::Global& global) noexcept;

// Whether an attribute path ("serialization.os.system") leads through a module of Python's library or into the insides
// of the interpreter, whatever it starts from.
bool escapes(std::string_view path) noexcept;

}  // namespace mq::formats::audit
