// The text forms of recipes.
#include "src/recipe.hpp"
#include "mq/plan.hpp"

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

json::Value strings(const std::vector<std::string>& list) {
  json::Array out;
  for (const std::string& text : list) out.emplace_back(text);
  return out;
}

json::Value dtype_or(const std::optional<DType>& dtype, const char* otherwise) {
  return dtype ? json::Value(to_string(*dtype)) : json::Value(otherwise);
}

const char* name_of(Recipe::Task task) {
  switch (task) {
    case Recipe::Task::Quantize:
      return "quantize";
    case Recipe::Task::Dequantize:
      return "dequantize";
    case Recipe::Task::Copy:
      break;
  }
  return "convert";
}

}  // namespace

json::Value to_json(const Recipe& recipe) {
  json::Value out;
  out.set("task", name_of(recipe.task));
  if (recipe.task == Recipe::Task::Quantize) {
    out.set("scheme", to_string(recipe.scheme));
    out.set("effort", "fast");
    out.set("only", strings(recipe.only));
    out.set("include", strings(recipe.include));
    out.set("exclude", strings(recipe.exclude));
    json::Array rules;
    for (const Rule& rule : recipe.rules) {
      json::Value entry;
      entry.set("pattern", rule.pattern);
      entry.set("spec", rule.spec ? to_string(*rule.spec) : "keep");
      rules.push_back(std::move(entry));
    }
    out.set("rules", std::move(rules));
    out.set("min_numel", recipe.min_numel);
    out.set("allow_unknown", recipe.allow_unknown);
    constexpr const char* kIfIndivisible[] = {"error", "keep", "channel"};
    out.set("if_indivisible", kIfIndivisible[static_cast<int>(recipe.if_indivisible)]);
    out.set("keep", dtype_or(recipe.keep, "same"));
    out.set("scale_dtype", dtype_or(recipe.scale_dtype, "dialect"));
    out.set("dialect", recipe.dialect);
  } else if (recipe.task == Recipe::Task::Dequantize) {
    out.set("dtype", dtype_or(recipe.dtype, "source"));
  }
  out.set("format", recipe.format);
  out.set("max_shard_bytes", recipe.max_shard_bytes ? json::Value(*recipe.max_shard_bytes) : json::Value("source"));
  out.set("digest", recipe.sha256 ? "sha256" : "xxh3-128");
  return out;
}

}  // namespace mq
