// The quantization_config object of GPTQ checkpoints.
#include <algorithm>
#include <tuple>

#include "mq/version.hpp"
#include "src/dialects/gptq.hpp"
#include "src/dialects/module_weights.hpp"

namespace mq::gptq {
namespace {

struct Settings {
  int bits = 4;
  std::int64_t group_size = 128;
  bool symmetric = true;
  bool operator==(const Settings&) const = default;
};

Settings settings_of(const QuantSpec& spec) {
  return {spec.bits, group_size_of(spec), spec.mapping == Mapping::Symmetric};
}

// Those of most weights; of the first ones where several are as many.
std::optional<Settings> common_settings(const Plan& plan) {
  std::vector<std::pair<Settings, std::int64_t>> counts;
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    const Settings settings = settings_of(*step.spec);
    auto found = std::ranges::find(counts, settings, &std::pair<Settings, std::int64_t>::first);
    if (found == counts.end()) found = counts.insert(counts.end(), {settings, 0});
    ++found->second;
  }
  if (counts.empty()) return std::nullopt;
  return std::ranges::max_element(counts, {}, &std::pair<Settings, std::int64_t>::second)->first;
}

// Modules with other settings, and those that are kept: what a reader would otherwise take for the common ones.
json::Value exceptions(const Plan& plan, const Settings& common) {
  json::Object dynamic;
  for (const json::Value& module : kept_but_head(plan)) {
    dynamic.emplace_back("-:" + module_pattern(*module.as_string()), json::Object{});
  }
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    const Settings settings = settings_of(*step.spec);
    if (settings == common) continue;
    json::Value entry;
    entry.set("bits", settings.bits);
    entry.set("group_size", settings.group_size);
    entry.set("sym", settings.symmetric);
    dynamic.emplace_back("+:" + module_pattern(module_of(step.id)), std::move(entry));
  }
  return dynamic.empty() ? json::Value() : json::Value(std::move(dynamic));
}

bool is_standard(const Step& step, DType original) {
  return step.spec->element == DType::Int8 && step.transforms.empty() && step.spec->scale_dtype == original;
}

json::Value make(const Plan& plan, const char* checkpoint_format) {
  const std::optional<Settings> common = common_settings(plan);
  if (!common) return nullptr;
  json::Value meta;
  meta.set("quantizer", json::Array{"mono-quant:" + std::string(kVersion)});
  json::Value config;
  config.set("quant_method", "gptq");
  config.set("bits", common->bits);
  config.set("group_size", common->group_size);
  config.set("desc_act", false);
  config.set("sym", common->symmetric);
  config.set("lm_head", quantizes_head(plan));
  config.set("checkpoint_format", checkpoint_format);
  config.set("true_sequential", true);
  config.set("static_groups", false);
  config.set("damp_percent", 0.01);
  config.set("dynamic", exceptions(plan, *common));
  config.set("pack_dtype", "int32");
  config.set("meta", std::move(meta));
  add_notes(config, plan, is_standard);
  return config;
}

}  // namespace

json::Value make_config(const Plan& plan) {
  return make(plan, "gptq");
}

json::Value make_config_v2(const Plan& plan) {
  return make(plan, "gptq_v2");
}

}  // namespace mq::gptq
