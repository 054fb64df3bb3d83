#include "tools/mq-convert/yaml.hpp"

#include <doctest/doctest.h>

#include "mq/recipe.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using namespace mq::test;
using mq::tool::json_of_yaml;

namespace {

constexpr std::string_view kRecipe = R"(# a recipe
scheme: "int4:g32"
min_numel: 100
allow_nan: true
exclude: [a*, 'b c']
rules:
  - pattern: fc.*
    spec: keep
    optional: false
  - |-
    x=int8
input:
  renames: [{from: a., to: b.}]
)";

}  // namespace

TEST_CASE("YAML becomes JSON with every value on its line, and typed as JSON would") {
  const std::string json = json_of_yaml(kRecipe, "r");
  CHECK(json.starts_with(
      "\n{\"scheme\": \"int4:g32\", \n\"min_numel\": 100, \n\"allow_nan\": true, \n\"exclude\": [\"a*\", \"b c\"]"));
  CHECK(json.ends_with("\n\"x=int8\"], \n\n\"input\": \n{\"renames\": [{\"from\": \"a.\", \"to\": \"b.\"}]}}"));
  CHECK(
      json_of_yaml("[1, -2.5e3, 01, 1_000, 0x1, .5, 1., +1, true, True, yes, null, '1', \"true\", -, -0, 1e5]", "r") ==
      R"([1, -2.5e3, "01", "1_000", "0x1", ".5", "1.", "+1", true, "True", "yes", null, "1", "true", "-", -0, 1e5])");
}

TEST_CASE("whatever becomes of a byte of a recipe, it is read or refused as wrong usage") {
  const std::string yaml(kRecipe), json = to_string(parse_recipe(json_of_yaml(kRecipe, "r")));
  for (const bool is_yaml : {true, false}) {
    const std::string& whole = is_yaml ? yaml : json;
    const auto check = [&](const std::string& text) {
      const std::optional<Error> error = error_of([&] { parse_recipe(is_yaml ? json_of_yaml(text, "r") : text, "r"); });
      if (error && error->code() != ErrorCode::Usage) FAIL(error->what());
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
      check(whole.substr(0, i));
      for (const char byte : {'\0', '"', '{', '[', ':', '-', '\n', '\t', '&', '*', '!', '\x80', '\xff', '9'}) {
        std::string damaged = whole;
        damaged[i] = byte;
        check(damaged);
      }
    }
  }
}
