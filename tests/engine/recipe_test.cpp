// Recipes as text: what is printed reads back, and what cannot be read is named.
#include "mq/recipe.hpp"

#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using namespace mq::test;
using mq::test::MemoryCheckpoint;

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 1) {}
  std::uint64_t below(std::uint64_t n) {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return (state_ >> 33) % n;
  }
  bool flip() { return below(2) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + below(values.size()));
  }

 private:
  std::uint64_t state_;
};

QuantSpec random_spec(Random& random) {
  return parse_spec(random.one_of<const char*>({"int8", "int4:g32:asym", "int3:channel", "uint8:channel=1:asym", "fp16",
                                                "fp8_e4m3:b128x128", "int8+int8:token:dyn", "int4:g64:signed"}));
}

std::string random_pattern(Random& random) {
  return random.one_of<const char*>(
      {"*", "fc1.weight", "re:^h\\.[0-9]+\\.attn", "kind:conv", "*\xC3\xA9*", "a=b", "quote\"s", "back\\slash\n*"});
}

std::vector<std::string> random_patterns(Random& random) {
  std::vector<std::string> patterns(random.below(3));
  for (std::string& pattern : patterns) pattern = random_pattern(random);
  return patterns;
}

std::optional<DType> random_type(Random& random) {
  return random.one_of<std::optional<DType>>({std::nullopt, DType::Float16, DType::BFloat16, DType::Float32});
}

IfIndivisible random_choice(Random& random) {
  return random.one_of({IfIndivisible::Error, IfIndivisible::Keep, IfIndivisible::Channel});
}

Recipe random_recipe(Random& random) {
  Recipe recipe;
  recipe.task = random.one_of({Recipe::Task::Quantize, Recipe::Task::Quantize, Recipe::Task::Dequantize,
                               Recipe::Task::Copy, Recipe::Task::Repack});
  recipe.input.root = random.one_of<const char*>({"", ".", "model.ema"});
  if (random.flip()) recipe.input.strip_prefixes = {"module.", "_orig_mod."};
  if (random.flip()) recipe.input.renames = {{"a.", "b."}, {"x", ""}};
  recipe.format = random.one_of<const char*>({"safetensors", "hf_safetensors", "auto"});
  recipe.sha256 = random.flip();
  if (random.flip()) recipe.max_shard_bytes = 1 + static_cast<std::int64_t>(random.below(1 << 30));
  if (recipe.task == Recipe::Task::Dequantize) recipe.dtype = random_type(random);
  if (recipe.task != Recipe::Task::Quantize) return recipe;
  recipe.scheme = random_spec(random);
  if (random.flip()) recipe.budget = parse_budget(random.one_of<const char*>({"4.5bpw", "123456789B", "20.25dB"}));
  while (random.flip())
    recipe.candidates.push_back(parse_spec(random.one_of<const char*>({"int4:g32", "int8", "int2:g64"})));
  recipe.weigh_tensors = random.flip();
  recipe.only = random_patterns(random);
  recipe.include = random_patterns(random);
  recipe.exclude = random_patterns(random);
  recipe.rules.resize(random.below(4));
  for (Rule& rule : recipe.rules) {
    rule.pattern = random_pattern(random);
    if (random.flip()) rule.spec = random_spec(random);
    rule.optional = random.flip();
    rule.scale_dtype = random_type(random);
    if (random.flip()) rule.if_indivisible = random_choice(random);
  }
  recipe.min_numel = random.one_of<std::int64_t>({0, 512, std::int64_t{1} << 40});
  recipe.allow_unknown = random.flip();
  recipe.allow_nan = random.flip();
  recipe.if_indivisible = random_choice(random);
  recipe.keep = random_type(random);
  recipe.scale_dtype = random_type(random);
  recipe.dialect = random.one_of<const char*>({"compressed_tensors", "plain"});
  return recipe;
}

void check_refused(const char* json, const char* part) {
  const std::optional<Error> error = error_of([&] { parse_recipe(json, "r.json"); });
  CAPTURE(json);
  REQUIRE(error);
  CAPTURE(error->what());
  CHECK(error->code() == ErrorCode::Usage);
  CHECK(error->details().file == "r.json");
  CHECK(std::string_view(error->what()).find(part) != std::string_view::npos);
}

}  // namespace

TEST_CASE("a recipe that is printed reads back as itself, whatever is in it and whatever the defaults are") {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    const Recipe recipe = random_recipe(random);
    const std::string text = to_string(recipe);
    CAPTURE(text);
    CHECK(parse_recipe(text) == recipe);
    CHECK(to_string(parse_recipe(text)) == text);
    // Every key of the task is in the text, so that nothing of other defaults shows.
    Recipe defaults;
    defaults.min_numel = 7;
    defaults.only = {"zzz"};
    defaults.input.root = "zzz";
    Recipe expected = recipe;
    if (recipe.task != Recipe::Task::Quantize) {
      expected.min_numel = 7;
      expected.only = {"zzz"};
    }
    CHECK(parse_recipe(text, "recipe", defaults) == expected);
  }
}

TEST_CASE("an empty recipe is the defaults, and what is left out stays") {
  CHECK(parse_recipe("{}") == Recipe());
  Recipe defaults;
  defaults.exclude = {"a.*"};
  defaults.min_numel = 3;
  const Recipe recipe = parse_recipe(R"({"min_numel": 4})", "r", defaults);
  CHECK(recipe.exclude == std::vector<std::string>{"a.*"});
  CHECK(recipe.min_numel == 4);
}

TEST_CASE("a rule is an object or the text of the command line") {
  const Recipe recipe = parse_recipe(R"({"rules": ["fc.*=int4:g32", {"pattern": "kind:conv", "spec": "keep"}]})");
  REQUIRE(recipe.rules.size() == 2);
  CHECK(recipe.rules[0] == parse_rule("fc.*=int4:g32"));
  CHECK(recipe.rules[1] == Rule{.pattern = "kind:conv"});
}

TEST_CASE("what is wrong in a recipe is named by key, line, what was expected and what was found") {
  check_refused(R"({"shceme": "int8"})", "shceme (line 1): there is no such key: expected one of task, input, scheme");
  check_refused(R"({"shceme": "int8"})", "did you mean 'scheme'?");
  check_refused("{\n \"min_numel\":\n \"many\"}", "min_numel (line 3): expected a whole number from 0, found \"many\"");
  check_refused("{\n \"min_numel\": -5\n}", "min_numel (line 2): expected a whole number from 0, found the number -5");
  check_refused(R"({"min_numel": 1.5})", "found the number 1.5");
  check_refused("{\"only\": [\n\"a\",\n5\n]}", "only[1] (line 3): expected a string, found the number 5");
  check_refused(R"({"only": "a"})", "only (line 1): expected a list, found \"a\"");
  check_refused(R"({"allow_unknown": "yes"})", "expected true or false, found \"yes\"");
  check_refused(R"({"allow_nan": null})", "expected true or false, found nothing");
  check_refused("{\"rules\": [\n{\"pattern\": \"a\", \"spec\": \"int8\"},\n{\"pattern\": \"b\", \"spec\": \"int9\"}]}",
                "rules[1].spec (line 3): there is no scheme 'int9'");
  check_refused(R"({"rules": [{"pattern": "a"}]})", "rules[0] (line 1): expected a key spec, found none");
  check_refused(R"({"rules": [{"pattern": "re:(", "spec": "int8"}]})", "rules[0].pattern (line 1)");
  check_refused(R"({"rules": [{"pattern": "a", "spec": "int8", "optionl": true}]})", "did you mean 'optional'?");
  check_refused(R"({"rules": ["nonsense"]})", "rules[0] (line 1): bad rule 'nonsense'");
  check_refused(R"({"exclude": ["kind:lniear"]})", "exclude[0] (line 1)");
  check_refused(R"({"input": {"renames": [{"from": "a"}]}})", "input.renames[0] (line 1): expected a key to");
  check_refused(R"({"keep": "int8"})", "expected same or a float type");
  check_refused(R"({"if_indivisible": "kep"})", "did you mean 'keep'?");
  check_refused(R"({"format": "gguf3"})", "format (line 1): expected auto");
  check_refused(R"({"dialect": "gptqq"})", "dialect (line 1): unknown dialect");
  check_refused(R"({"task": "convert", "scheme": "int8"})", "scheme (line 1): not a key of this task");
  check_refused(R"({"max_shard_bytes": 0})", "max_shard_bytes (line 1): expected a whole number from 1");
  check_refused(R"({"max_shard_bytes": "5GB"})", "max_shard_bytes (line 1): expected source, found \"5GB\"");
  check_refused(R"({"effort": "hard"})", "effort (line 1): expected fast, search, max or reference");
  check_refused(R"({"objective": "mae"})", "objective (line 1): expected mse, magnitude, x2, importance or lp:P with P from 0.5 to 8, found mae");
  check_refused(R"({"objective": "lp:9"})", "objective (line 1): expected mse, magnitude, x2, importance or lp:P");
  check_refused("{\"min_numel\": 1,\n\"min_numel\": 2}", "key twice in one object (line 2)");
  check_refused("{\"min_numel\": 1,\n\"only\": [}", "invalid JSON");
  check_refused("{\"min_numel\": 1,\n\"only\": [}", "(line 2)");
  check_refused("[]", "the recipe (line 1): expected an object, found a list");
  check_refused("", "invalid JSON");
}

TEST_CASE("the recipe in the report of a run makes the same output again") {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {64, 128}, weights(64 * 128));
  c.add("b.weight", DType::Float32, {32, 96}, weights(32 * 96, 2));
  c.add("c.weight", DType::Float32, {16, 80}, weights(16 * 80, 3));
  Recipe recipe;
  recipe.scheme = parse_spec("int4:g32:asym");
  recipe.rules = {{.pattern = "b.*", .spec = parse_spec("int8"), .scale_dtype = DType::Float16},
                  {.pattern = "c.*", .spec = parse_spec("int4:g64"), .if_indivisible = IfIndivisible::Channel},
                  {.pattern = "d.*", .spec = std::nullopt, .optional = true}};
  recipe.min_numel = 0;
  recipe.sha256 = true;
  const auto run = [&](const Recipe& from) {
    CountingWriter writer;
    convert(c, make_plan(describe(c), from), writer, serial_executor());
    return writer;
  };
  const CountingWriter first = run(recipe);
  const Recipe again = parse_recipe(first.texts.at("quantization_metadata.json"));
  CHECK(again == recipe);
  const CountingWriter second = run(again);
  CHECK(second.data() == first.data());
  CHECK(second.texts == first.texts);
}

TEST_CASE(
    "an optional rule may match nothing, and a rule has a scale type and an answer to indivisible rows of its own") {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {64, 100}, weights(6400));
  c.add("b.weight", DType::Float32, {64, 100}, weights(6400));
  Recipe recipe;
  recipe.rules = {{.pattern = "none.*", .spec = parse_spec("int4")}};
  CHECK(code_of([&] { make_plan(describe(c), recipe); }) == ErrorCode::Usage);
  recipe.rules[0].optional = true;
  recipe.rules.push_back({.pattern = "a.*",
                          .spec = parse_spec("int4:g64"),
                          .scale_dtype = DType::BFloat16,
                          .if_indivisible = IfIndivisible::Channel});
  const Plan plan = make_plan(describe(c), recipe);
  CHECK(to_string(*plan.steps[0].spec) == "int4:channel=0:sym:full");
  CHECK(plan.steps[0].spec->scale_dtype == DType::BFloat16);
  CHECK(to_string(*plan.steps[1].spec) == "int8:channel=0:sym:narrow");
  CHECK(plan.steps[1].spec->scale_dtype == DType::Float32);
}

TEST_CASE("a plan is not made while the format of the output is open") {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {64, 100}, weights(6400));
  Recipe recipe;
  recipe.format = kAutoFormat;
  CHECK(code_of([&] { make_plan(describe(c), recipe); }) == ErrorCode::Usage);
}
