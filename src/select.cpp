#include "src/select.hpp"

#include <algorithm>
#include <charconv>

#include "src/float_rows.hpp"
#include "src/kinds.hpp"
#include "src/pattern.hpp"
#include "src/pool.hpp"

namespace mq {
namespace {

// Above this share of all bytes, weights that nobody would quantize make the result a surprise.
constexpr double kMaxUnknownShare = 0.05;

// A pattern with the option it came from and whether it has matched.
struct Selector {
  Pattern pattern;
  std::string option;
  const Rule* rule = nullptr;   // that has the pattern, if one has
  Shared<QuantSpec> spec = {};  // of the rule
  bool matched = false;

  bool matches(const LogicalTensor& tensor, TensorKind kind) {
    const bool hit = pattern.matches(tensor.info.name, kind);
    matched = matched || hit;
    return hit;
  }
};

std::vector<Selector> selectors(const std::vector<std::string>& patterns, const char* option) {
  std::vector<Selector> out;
  for (const std::string& text : patterns) out.push_back({Pattern(text), option});
  return out;
}

// Every pattern is tried, so that each learns whether it matches anything.
Selector* first_match(std::vector<Selector>& all, const LogicalTensor& tensor, TensorKind kind) {
  Selector* first = nullptr;
  for (Selector& selector : all) {
    if (selector.matches(tensor, kind) && !first) first = &selector;
  }
  return first;
}

void require_all_matched(const std::vector<Selector>& all) {
  for (const Selector& selector : all) {
    if (selector.matched || (selector.rule && selector.rule->optional)) continue;
    throw Error(
        {.code = ErrorCode::Usage,
         .message = "pattern '" + printable(selector.pattern.text()) + "' of " + selector.option + " matches no tensor",
         .hint = "`mq-convert info` lists the names; `*` crosses dots, re:REGEX and kind:NAME are possible"});
  }
}

std::string percent(double share) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, 100 * share, std::chars_format::fixed, 1).ptr;
  return std::string(text, end) + " %";
}

// What tensors are decided about with: many get the same encoding for the same reason.
struct Shares {
  Shared<QuantSpec> scheme;
  Pool<SharedString> reasons = {};
};

// What happens to a tensor that no pattern decides.
Decision default_decision(const LogicalTensor& tensor, TensorKind kind, const Recipe& recipe, Shares& shares) {
  Decision decision{.kind = kind};
  if (recipe.scheme.codec == "float_cast" && !recipe.budget && is_readable_float(tensor.info.dtype)) {
    decision.spec = shares.scheme;
    decision.reason = shares.reasons.share("cast");
    return decision;
  }
  switch (kind) {
    case TensorKind::Linear:
    case TensorKind::Conv:
    case TensorKind::ConvTranspose:
    case TensorKind::Conv1D:
    case TensorKind::Recurrent:
    case TensorKind::Experts:
      if (tensor.info.numel() < recipe.min_numel) {
        decision.reason = shares.reasons.share("kept: below " + std::to_string(recipe.min_numel) + " elements");
      } else {
        decision.spec = shares.scheme;
        decision.by_scheme = true;
        decision.reason = shares.reasons.share(to_string(kind));
      }
      break;
    case TensorKind::NotFloat:
      decision.reason = shares.reasons.share("kept: " + std::string(to_string(tensor.info.dtype)));
      break;
    default:
      decision.reason = shares.reasons.share("kept: " + std::string(to_string(kind)));
  }
  return decision;
}

void refuse_surprising_unknowns(const Source& source, const Recipe& recipe, std::vector<Decision>& decisions) {
  std::int64_t all = 0;
  std::int64_t unknown = 0;
  std::string names;
  for (const LogicalTensor& tensor : source.tensors) all += tensor.info.size_bytes();
  int count = 0;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const TensorInfo& info = source.tensors[i].info;
    if (decisions[i].kind != TensorKind::Unknown || decisions[i].spec) continue;
    if (decisions[i].reason != "kept: unknown" || info.numel() < recipe.min_numel) continue;
    const double share = static_cast<double>(info.size_bytes()) / static_cast<double>(all);
    decisions[i].reason = "unknown: kept (" + percent(share) + " of all bytes)";
    unknown += info.size_bytes();
    if (count++ < 5) names += (names.empty() ? "" : ", ") + printable(info.name) + " " + to_string(info.shape);
  }
  const double share = all > 0 ? static_cast<double>(unknown) / static_cast<double>(all) : 0;
  if (share <= kMaxUnknownShare || recipe.allow_unknown) return;
  if (count > 5) names += " and " + std::to_string(count - 5) + " more";
  throw Error({.code = ErrorCode::Usage,
               .message = "float tensors of no known kind hold " + percent(share) + " of all bytes: " + names,
               .expected = "at most " + percent(kMaxUnknownShare),
               .hint = "decide them with --include, --exclude or --rule, or keep them with --allow-unknown"});
}

}  // namespace

std::vector<Decision> select(const Source& source, const Recipe& recipe) {
  const std::vector<TensorKind> kinds = classify(source);
  std::vector<Selector> only = selectors(recipe.only, "--only");
  std::vector<Selector> include = selectors(recipe.include, "--include");
  std::vector<Selector> exclude = selectors(recipe.exclude, "--exclude");
  std::vector<Selector> rules;
  for (const Rule& rule : recipe.rules) {
    rules.push_back({Pattern(rule.pattern), "--rule", &rule});
    if (rule.spec) rules.back().spec = *rule.spec;
  }
  Shares shares{.scheme = recipe.scheme};

  std::vector<Decision> decisions;
  decisions.reserve(kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const LogicalTensor& tensor = source.tensors[i];
    const Selector* excluded = first_match(exclude, tensor, kinds[i]);
    const Selector* ruled = first_match(rules, tensor, kinds[i]);
    const Selector* included = first_match(include, tensor, kinds[i]);
    const Selector* wanted = first_match(only, tensor, kinds[i]);
    Decision decision{.kind = kinds[i]};
    if (excluded) {
      decision.reason = shares.reasons.share("kept: --exclude " + excluded->pattern.text());
    } else if (ruled) {
      decision.spec = ruled->spec;
      decision.reason = shares.reasons.share((decision.spec ? "--rule " : "kept: --rule ") + ruled->pattern.text());
    } else if (included) {
      decision.spec = shares.scheme;
      decision.by_scheme = true;
      decision.reason = shares.reasons.share("--include " + included->pattern.text());
    } else if (!only.empty() && !wanted) {
      decision.reason = shares.reasons.share("kept: not in --only");
    } else {
      decision = default_decision(tensor, kinds[i], recipe, shares);
    }
    if (decision.spec && !is_readable_float(tensor.info.dtype)) {
      decision.reason = shares.reasons.share("kept: " + std::string(to_string(tensor.info.dtype)) + " (although " +
                                             decision.reason + ")");
      decision.spec.reset();
      decision.by_scheme = false;
    }
    const Rule* rule = ruled && !excluded ? ruled->rule : nullptr;
    decision.scale_dtype = rule && rule->scale_dtype ? rule->scale_dtype : recipe.scale_dtype;
    decision.if_indivisible = rule && rule->if_indivisible ? *rule->if_indivisible : recipe.if_indivisible;
    decisions.push_back(std::move(decision));
  }
  for (const auto* all : {&only, &include, &exclude, &rules}) require_all_matched(*all);
  refuse_surprising_unknowns(source, recipe, decisions);
  return decisions;
}

}  // namespace mq
