// The text forms of recipes.
#include "src/recipe.hpp"

#include <algorithm>
#include <array>

#include "formats/format.hpp"
#include "mq/destination.hpp"
#include "mq/gguf.hpp"
#include "src/dialects/dialect.hpp"
#include "src/pattern.hpp"
#include "src/recipe_cursor.hpp"

namespace mq {

Rule parse_rule(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  // "channel=1" has a sign of its own: the specification begins after the last '=' that is not part of it.
  std::size_t split = equals;
  if (equals != std::string_view::npos && text.substr(0, equals).ends_with(":channel")) {
    split = text.rfind('=', equals - 1);
  }
  if (split == std::string_view::npos || split == 0) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "bad rule '" + printable(text) + "'",
                 .expected = "PATTERN=SPEC or PATTERN=keep"});
  }
  Rule rule{.pattern = std::string(text.substr(0, split))};
  const std::string_view spec = text.substr(split + 1);
  if (spec != "keep") rule.spec = parse_spec(spec);
  return rule;
}

namespace {

constexpr std::array<std::string_view, 4> kTasks = {"quantize", "dequantize", "convert", "repack"};
constexpr std::array<std::string_view, 3> kIfIndivisible = {"error", "keep", "channel"};
constexpr std::string_view kNoMix = "none";
constexpr std::array<std::string_view, 1> kSourceShards = {"source"};
constexpr std::array<std::string_view, 2> kDigests = {"xxh3-128", "sha256"};
constexpr std::array<std::string_view, 5> kRuleKeys = {"pattern", "spec", "optional", "scale_dtype", "if_indivisible"};
constexpr std::string_view kNoBudget = "none";
constexpr std::array<std::string_view, 4> kInputKeys = {"root", "strip_prefixes", "renames", "folds"};
constexpr std::array<std::string_view, 2> kRenameKeys = {"from", "to"};
constexpr std::array<std::string_view, 3> kFoldKeys = {"layer", "norm", "eps"};

json::Value strings(const std::vector<std::string>& list) {
  return json::Array(list.begin(), list.end());
}

json::Value texts(const std::vector<QuantSpec>& specs) {
  json::Array list;
  for (const QuantSpec& spec : specs) list.emplace_back(to_string(spec));
  return list;
}

void read_budget(const RecipeCursor& at, Recipe& recipe) {
  recipe.budget = at.parsed(
      [](const std::string& text) { return text == kNoBudget ? std::nullopt : std::optional(parse_budget(text)); });
}

void read_candidates(const RecipeCursor& at, Recipe& recipe) {
  recipe.candidates.clear();
  for (const RecipeCursor& item : at.items()) recipe.candidates.push_back(item.parsed(parse_candidate));
}

json::Value dtype_or(const std::optional<DType>& dtype, const char* otherwise) {
  return dtype ? json::Value(to_string(*dtype)) : json::Value(otherwise);
}

std::string read_pattern(const RecipeCursor& at) {
  return at.parsed([](const std::string& text) { return Pattern(text).text(); });
}

std::vector<std::string> read_patterns(const RecipeCursor& at) {
  std::vector<std::string> patterns;
  for (const RecipeCursor& item : at.items()) patterns.push_back(read_pattern(item));
  return patterns;
}

Rule read_rule(const RecipeCursor& at) {
  if (at.is_string()) return at.parsed([](const std::string& text) { return parse_rule(text); });
  at.require_keys(kRuleKeys);
  Rule rule{.pattern = read_pattern(at.member("pattern"))};
  rule.spec = at.member("spec").parsed(
      [](const std::string& text) { return text == "keep" ? std::nullopt : std::optional(parse_spec(text)); });
  if (const auto value = at.find("optional")) rule.optional = value->boolean();
  if (const auto value = at.find("scale_dtype")) rule.scale_dtype = value->float_type("recipe");
  if (const auto value = at.find("if_indivisible")) {
    rule.if_indivisible = static_cast<IfIndivisible>(value->word(kIfIndivisible));
  }
  return rule;
}

json::Value rule_json(const Rule& rule) {
  json::Value out;
  out.set("pattern", rule.pattern);
  out.set("spec", rule.spec ? to_string(*rule.spec) : "keep");
  out.set("optional", rule.optional);
  if (rule.scale_dtype) out.set("scale_dtype", to_string(*rule.scale_dtype));
  if (rule.if_indivisible) out.set("if_indivisible", kIfIndivisible[static_cast<std::size_t>(*rule.if_indivisible)]);
  return out;
}

void read_input(const RecipeCursor& at, Recipe& recipe) {
  at.require_keys(kInputKeys);
  InputNames& names = recipe.input;
  if (const auto value = at.find("root")) names.root = value->string();
  if (const auto value = at.find("strip_prefixes")) names.strip_prefixes = value->strings();
  if (const auto renames = at.find("renames")) {
    names.renames.clear();
    for (const RecipeCursor& item : renames->items()) {
      item.require_keys(kRenameKeys);
      names.renames.emplace_back(item.member("from").string(), item.member("to").string());
    }
  }
  const auto folds = at.find("folds");
  if (!folds) return;
  names.folds.clear();
  for (const RecipeCursor& item : folds->items()) {
    item.require_keys(kFoldKeys);
    names.folds.push_back(
        {item.member("layer").string(), item.member("norm").string(), item.member("eps").positive_number()});
  }
}

json::Value input_json(const Recipe& recipe) {
  json::Array renames;
  for (const auto& [from, to] : recipe.input.renames) renames.push_back(json::Object{{"from", from}, {"to", to}});
  json::Array folds;
  for (const BatchNormFold& fold : recipe.input.folds) {
    folds.push_back(json::Object{{"layer", fold.layer}, {"norm", fold.norm}, {"eps", fold.eps}});
  }
  json::Value out;
  out.set("root", recipe.input.root);
  out.set("strip_prefixes", strings(recipe.input.strip_prefixes));
  out.set("renames", std::move(renames));
  out.set("folds", std::move(folds));
  return out;
}

// The value whose text stands there.
template <class T, std::size_t N>
T one_of(const RecipeCursor& at, const std::array<T, N>& values) {
  std::array<std::string_view, N> words;
  std::transform(values.begin(), values.end(), words.begin(), [](T value) { return to_string(value); });
  return values[at.word(words)];
}

std::string read_format(const RecipeCursor& at) {
  std::vector<std::string_view> names = {kAutoFormat};
  for (const formats::Format* format : formats::all_formats()) {
    if (format->create != nullptr) names.push_back(format->name);
  }
  return std::string(names[at.word(names)]);
}

void read_max_shard(const RecipeCursor& at, Recipe& recipe) {
  recipe.max_shard_bytes.reset();
  if (at.is_string()) {
    at.word(kSourceShards);
  } else {
    recipe.max_shard_bytes = at.count(1);
  }
}

// Which tasks have a key.
constexpr unsigned kQuantize = 1, kDequantize = 2, kCopy = 4, kRepack = 8;
constexpr unsigned kAll = kQuantize | kDequantize | kCopy | kRepack;

// One row per key, in the order in which they are printed.
struct Key {
  std::string_view name;
  unsigned tasks;
  void (*read)(const RecipeCursor& at, Recipe& recipe);
  json::Value (*print)(const Recipe& recipe);
};

constexpr std::array kKeys = {
    Key{"task", kAll,
        [](const RecipeCursor& at, Recipe& recipe) { recipe.task = static_cast<Recipe::Task>(at.word(kTasks)); },
        [](const Recipe& recipe) { return json::Value(to_string(recipe.task)); }},
    Key{"input", kAll, read_input, input_json},
    Key{"scheme", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) {
          recipe.scheme = at.parsed([](const std::string& text) { return parse_spec(text); });
        },
        [](const Recipe& recipe) { return json::Value(to_string(recipe.scheme)); }},
    Key{"mix", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) {
          std::vector<std::string_view> names = {kNoMix};
          names.insert(names.end(), gguf_mixes().begin(), gguf_mixes().end());
          const std::size_t index = at.word(names);
          recipe.mix = index == 0 ? std::string() : std::string(names[index]);
        },
        [](const Recipe& recipe) { return json::Value(recipe.mix.empty() ? kNoMix : std::string_view(recipe.mix)); }},
    Key{"budget", kQuantize, read_budget,
        [](const Recipe& recipe) {
          return json::Value(recipe.budget ? to_string(*recipe.budget) : std::string(kNoBudget));
        }},
    Key{"candidates", kQuantize, read_candidates, [](const Recipe& recipe) { return texts(recipe.candidates); }},
    Key{"weigh_tensors", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.weigh_tensors = at.boolean(); },
        [](const Recipe& recipe) { return json::Value(recipe.weigh_tensors); }},
    Key{"effort", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.effort = one_of(at, kEfforts); },
        [](const Recipe& recipe) { return json::Value(to_string(recipe.effort)); }},
    Key{"objective", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) {
          const std::string& text = at.string();
          const std::optional<Objective> objective = parse_objective(text);
          if (!objective) at.fail("mse, magnitude, x2, importance or lp:P with P from 0.5 to 8", text);
          recipe.objective = *objective;
        },
        [](const Recipe& recipe) { return json::Value(to_string(recipe.objective)); }},
    Key{"only", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.only = read_patterns(at); },
        [](const Recipe& recipe) { return strings(recipe.only); }},
    Key{"include", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.include = read_patterns(at); },
        [](const Recipe& recipe) { return strings(recipe.include); }},
    Key{"exclude", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.exclude = read_patterns(at); },
        [](const Recipe& recipe) { return strings(recipe.exclude); }},
    Key{"rules", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) {
          recipe.rules.clear();
          for (const RecipeCursor& item : at.items()) recipe.rules.push_back(read_rule(item));
        },
        [](const Recipe& recipe) {
          json::Array rules;
          for (const Rule& rule : recipe.rules) rules.push_back(rule_json(rule));
          return json::Value(std::move(rules));
        }},
    Key{"min_numel", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.min_numel = at.count(); },
        [](const Recipe& recipe) { return json::Value(recipe.min_numel); }},
    Key{"allow_unknown", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.allow_unknown = at.boolean(); },
        [](const Recipe& recipe) { return json::Value(recipe.allow_unknown); }},
    Key{"allow_nan", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.allow_nan = at.boolean(); },
        [](const Recipe& recipe) { return json::Value(recipe.allow_nan); }},
    Key{"if_indivisible", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) {
          recipe.if_indivisible = static_cast<IfIndivisible>(at.word(kIfIndivisible));
        },
        [](const Recipe& recipe) {
          return json::Value(kIfIndivisible[static_cast<std::size_t>(recipe.if_indivisible)]);
        }},
    Key{"keep", kQuantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.keep = at.float_type("same"); },
        [](const Recipe& recipe) { return dtype_or(recipe.keep, "same"); }},
    Key{"scale_dtype", kQuantize,
        [](const RecipeCursor& at, Recipe& recipe) { recipe.scale_dtype = at.float_type("dialect"); },
        [](const Recipe& recipe) { return dtype_or(recipe.scale_dtype, "dialect"); }},
    Key{"runtime", kQuantize | kRepack,
        [](const RecipeCursor& at, Recipe& recipe) {
          recipe.runtime =
              at.parsed([](const std::string& name) { return name.empty() ? name : require_runtime(name); });
        },
        [](const Recipe& recipe) { return json::Value(recipe.runtime); }},
    Key{"dialect", kQuantize | kRepack,
        [](const RecipeCursor& at, Recipe& recipe) {
          recipe.dialect = at.parsed([](const std::string& name) { return std::string(dialect_named(name).name); });
        },
        [](const Recipe& recipe) { return json::Value(recipe.dialect); }},
    Key{"dtype", kDequantize, [](const RecipeCursor& at, Recipe& recipe) { recipe.dtype = at.float_type("source"); },
        [](const Recipe& recipe) { return dtype_or(recipe.dtype, "source"); }},
    Key{"format", kAll, [](const RecipeCursor& at, Recipe& recipe) { recipe.format = read_format(at); },
        [](const Recipe& recipe) { return json::Value(recipe.format); }},
    Key{"max_shard_bytes", kAll, read_max_shard,
        [](const Recipe& recipe) {
          return recipe.max_shard_bytes ? json::Value(*recipe.max_shard_bytes) : json::Value(kSourceShards[0]);
        }},
    Key{"digest", kAll, [](const RecipeCursor& at, Recipe& recipe) { recipe.sha256 = at.word(kDigests) == 1; },
        [](const Recipe& recipe) { return json::Value(kDigests[recipe.sha256 ? 1 : 0]); }},
};

bool belongs(const Key& key, Recipe::Task task) {
  return (key.tasks >> static_cast<unsigned>(task) & 1) != 0;
}

Recipe read_recipe(const RecipeCursor& at, const Recipe& defaults) {
  Recipe recipe = defaults;
  if (const auto task = at.find("task")) kKeys[0].read(*task, recipe);
  std::vector<std::string_view> known, elsewhere;
  for (const Key& key : kKeys) (belongs(key, recipe.task) ? known : elsewhere).push_back(key.name);
  at.require_keys(known, elsewhere);
  for (const Key& key : kKeys) {
    if (const auto value = at.find(key.name)) key.read(*value, recipe);
  }
  return recipe;
}

}  // namespace

std::string_view to_string(Recipe::Task task) noexcept {
  return kTasks[static_cast<std::size_t>(task)];
}

json::Value to_json(const Recipe& recipe) {
  json::Value out;
  for (const Key& key : kKeys) {
    if (belongs(key, recipe.task)) out.set(key.name, key.print(recipe));
  }
  return out;
}

std::string to_string(const Recipe& recipe) {
  return json::dump(to_json(recipe)) + '\n';
}

Recipe parse_recipe(std::string_view json, std::string_view source, const Recipe& defaults) {
  const RecipeText text{json, source};
  const json::Value whole = parse_recipe_json(text);
  const RecipeCursor at(whole, "", text);
  return read_recipe(at.find("recipe").value_or(at), defaults);
}

}  // namespace mq
