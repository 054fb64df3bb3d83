#pragma once

#include "mq/recipe.hpp"
#include "src/json.hpp"

namespace mq {

// A recipe with every default spelled out.
json::Value to_json(const Recipe& recipe);

}  // namespace mq
