// The quantization_config object of compressed-tensors checkpoints.
#include <algorithm>

#include "mq/version.hpp"
#include "src/dialects/compressed_tensors.hpp"
#include "src/dialects/reader.hpp"

namespace mq::compressed_tensors {
namespace {

json::Value arguments(int bits, bool is_float, bool symmetric, const char* strategy, bool dynamic) {
  json::Value args;
  args.set("num_bits", bits);
  args.set("type", is_float ? "float" : "int");
  args.set("symmetric", symmetric);
  args.set("strategy", strategy);
  args.set("group_size", nullptr);
  args.set("block_structure", nullptr);
  args.set("dynamic", dynamic);
  args.set("actorder", nullptr);
  args.set("observer", dynamic ? json::Value(nullptr) : json::Value("minmax"));
  args.set("observer_kwargs", json::Object{});
  return args;
}

json::Value weight_arguments(const QuantSpec& spec) {
  const char* strategy = spec.codec == "nvfp4"                                  ? "tensor_group"
                         : std::holds_alternative<PerTensor>(spec.granularity)  ? "tensor"
                         : std::holds_alternative<PerChannel>(spec.granularity) ? "channel"
                         : std::holds_alternative<PerGroup>(spec.granularity)   ? "group"
                                                                                : "block";
  json::Value args = arguments(spec.bits, !spec.is_integer(), spec.mapping == Mapping::Symmetric, strategy, false);
  if (const auto* group = std::get_if<PerGroup>(&spec.granularity)) args.set("group_size", group->group_size);
  if (has_small_scales(spec)) {
    const char* const type = spec.codec == "nvfp4" ? "torch.float8_e4m3fn" : "torch.uint8";
    args.set("scale_dtype", type);
    args.set("zp_dtype", type);
  }
  if (const auto* block = std::get_if<PerBlock>(&spec.granularity)) {
    args.set("block_structure", json::Array{block->rows, block->cols});
  }
  return args;
}

// Groups of which the runtime finds the scales, within a global one that is stored.
json::Value fp4_activation_arguments() {
  json::Value args = weight_arguments(parse_spec("nvfp4"));
  args.set("dynamic", "local");
  args.set("observer", "static_minmax");
  return args;
}

json::Value activation_arguments(const std::optional<ActivationSpec>& activation) {
  if (!activation) return nullptr;
  if (activation->element == "nvfp4") return fp4_activation_arguments();
  return arguments(8, activation->element != "int8", activation->mapping == Mapping::Symmetric,
                   activation->per_token ? "token" : "tensor", activation->dynamic);
}

// Steps whose weights share one entry of config_groups.
struct Group {
  json::Value weights;
  json::Value activations;
  std::string format;
  std::vector<const Step*> steps;
};

std::vector<Group> groups_of(const Plan& plan) {
  std::vector<Group> groups;
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    Group group{weight_arguments(*step.spec),
                activation_arguments(step.spec->activation),
                std::string(format_of(*step.spec)),
                {}};
    const auto same = [&](const Group& g) {
      return g.weights == group.weights && g.activations == group.activations && g.format == group.format;
    };
    auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end()) found = groups.insert(groups.end(), std::move(group));
    found->steps.push_back(&step);
  }
  // The largest group is the one that may claim a whole class of layers.
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.steps.size() > b.steps.size(); });
  return groups;
}

// Layers that a runtime builds as its class Linear.
bool is_linear(const Step& step) {
  return step.kind == TensorKind::Linear || step.kind == TensorKind::Head;
}

json::Array targets_of(const Group& group, bool whole_class) {
  json::Array targets;
  if (whole_class) targets.emplace_back("Linear");
  for (const Step* step : group.steps) {
    if (!whole_class || !is_linear(*step)) targets.emplace_back(module_of(step->id));
  }
  return targets;
}

json::Array ignored(const Plan& plan, const json::Value& model_config) {
  json::Array names;
  bool head = false;
  for (const Step& step : plan.steps) {
    head = head || step.kind == TensorKind::Head;
    const bool module = is_linear(step) || step.kind == TensorKind::Router;
    if (module && !step.quantizes()) names.emplace_back(module_of(step.id));
  }
  // A head tied to the embedding is a Linear layer of the model without a tensor of its own.
  const json::Value* tied = model_config.find("tie_word_embeddings");
  if (!head && tied && tied->as_bool() && *tied->as_bool()) names.emplace_back("lm_head");
  return names;
}

}  // namespace

json::Value make_config(const Plan& plan) {
  const std::vector<Group> groups = groups_of(plan);
  if (groups.empty()) return nullptr;
  const json::Value model_config =
      plan.source.config.empty() ? json::Value() : json::parse(plan.source.config, "config.json");
  const bool mixed =
      std::any_of(groups.begin(), groups.end(), [&](const Group& g) { return g.format != groups.front().format; });
  json::Value config_groups;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    json::Value entry;
    const bool has_linear =
        std::any_of(groups[i].steps.begin(), groups[i].steps.end(), [](const Step* s) { return is_linear(*s); });
    entry.set("targets", targets_of(groups[i], i == 0 && has_linear));
    entry.set("weights", groups[i].weights);
    entry.set("input_activations", groups[i].activations);
    entry.set("output_activations", nullptr);
    if (mixed) entry.set("format", groups[i].format);
    config_groups.set("group_" + std::to_string(i), std::move(entry));
  }
  json::Value config;
  config.set("quant_method", "compressed-tensors");
  config.set("format", mixed ? std::string("mixed-precision") : groups.front().format);
  config.set("quantization_status", "compressed");
  config.set("global_compression_ratio", nullptr);
  config.set("kv_cache_scheme", nullptr);
  config.set("ignore", ignored(plan, model_config));
  config.set("config_groups", std::move(config_groups));
  // What the standard fields cannot say, under a key that other readers ignore.
  add_notes(config, plan, is_standard);
  return config;
}

}  // namespace mq::compressed_tensors
