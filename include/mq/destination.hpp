// Where a checkpoint shall be loaded: presets that choose encoding, names and container for a program, and the rules of
// that program. Plain values; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mq/recipe.hpp"

namespace mq {

// A row of the table of presets: what "RUNTIME:NAME" stands for.
struct Destination {
  std::string_view runtime;  // "vllm"
  std::string_view name;     // "w4a16"
  std::string_view scheme;   // as parse_spec() reads it; empty where there is a mix
  std::string_view dialect;
  std::string_view format;  // container
  std::string_view description;
  std::string_view mix = {};  // one of gguf_mixes(), which decides instead of a scheme
};

std::span<const Destination> destinations() noexcept;

// Throws: Usage, naming those there are.
const Destination& parse_destination(std::string_view text);

// Takes encoding, dialect, container and the rules of the runtime over into the recipe; rules for tensors that the
// program wants as they are go to the end of its rules.
void apply(const Destination& destination, Recipe& recipe);

// The name itself if its rules are known here.
// Throws: Usage, naming those there are.
std::string require_runtime(std::string_view name);

}  // namespace mq
