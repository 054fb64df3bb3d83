#include "src/plan_layout.hpp"

#include <algorithm>
#include <iterator>

#include "src/dialects/comfyui.hpp"
#include "src/dialects/dialect.hpp"
#include "src/dialects/quanto.hpp"
#include "src/dialects/torch_quantized.hpp"
#include "src/dialects/torchao.hpp"
#include "src/json.hpp"
#include "src/metadata.hpp"
#include "src/plan_gguf.hpp"
#include "src/plan_shards.hpp"
#include "src/runtime_rules.hpp"

namespace mq {
namespace {

// The quantization config of the output, null if nothing in it is quantized that needs one.
json::Value new_config(const Plan& plan) {
  const auto config = dialect_named(plan.recipe.dialect).config;
  const auto named = [&](const Step& step) { return step.quantizes() && step.dialect == plan.recipe.dialect; };
  if (config == nullptr || std::ranges::none_of(plan.steps, named)) return nullptr;
  const auto other = [&](const Step& step) { return step.quantizes() && step.dialect != plan.recipe.dialect; };
  if (std::ranges::none_of(plan.steps, other)) return config(plan);
  // Tensors of another dialect speak for themselves.
  Plan seen = plan;
  for (Step& step : seen.steps) {
    if (other(step)) step.action = Step::Action::Copy;
  }
  return config(seen);
}

// The one type that every float tensor of the output has, if there is one: the model's new type.
std::optional<DType> common_cast(const Plan& plan) {
  if (plan.recipe.task == Recipe::Task::Dequantize) return plan.recipe.dtype;
  return plan.recipe.scheme.codec == "float_cast" ? std::optional(plan.recipe.scheme.element) : std::nullopt;
}

// The source's config.json with the quantization config of the output and no other.
std::string model_config(const Plan& plan) {
  json::Value model =
      plan.source.config.empty() ? json::Value(json::Object{}) : json::parse(plan.source.config, "config.json");
  if (plan.recipe.task != Recipe::Task::Copy) {
    json::Object members;
    for (auto& [key, value] : *model.as_object()) {
      if (key != "quantization_config" && key != "compression_config") members.emplace_back(key, std::move(value));
    }
    model = std::move(members);
    if (const auto dtype = common_cast(plan)) {
      for (const char* key : {"dtype", "torch_dtype"}) {
        if (model.find(key)) model.set(key, to_string(*dtype));
      }
    }
    json::Value config = dialect_named(plan.recipe.dialect).config_file_only ? json::Value() : new_config(plan);
    if (!config.is_null()) model.set("quantization_config", std::move(config));
  }
  return json::dump(model) + "\n";
}

std::string text_of(const MetadataValue& value) {
  return std::visit(
      [](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
          return v;
        } else {
          return json::dump(json::Value(v), -1);
        }
      },
      value);
}

void add_metadata(Plan& plan) {
  for (const auto& [key, value] : plan.source.metadata) {
    // What it says of quantized weights is no longer so.
    const bool says_encoding = key == "quantization_config" || key == comfyui::kMetadataKey ||
                               (plan.source.dialect == kTorchAo.name && torchao::is_description(key, value));
    if (says_encoding && plan.recipe.task != Recipe::Task::Copy) continue;
    plan.layout.metadata.emplace_back(key, text_of(value));
  }
  if (plan.recipe.task == Recipe::Task::Copy) return;
  const json::Value config = new_config(plan);
  if (config.is_null()) return;
  if (const auto describe = dialect_named(plan.recipe.dialect).metadata; describe != nullptr) {
    std::ranges::move(describe(plan), std::back_inserter(plan.layout.metadata));
  }
  if (!writes_directory(plan.recipe)) {
    plan.layout.metadata.emplace_back("quantization_config", json::dump(config, -1));
  }
}

// Whether some dialect keeps its quantization config in a file of this name.
bool is_config_file(std::string_view name) {
  return std::ranges::any_of(all_dialects(), [&](const Dialect* dialect) { return dialect->config_file == name; });
}

void add_config_file(Plan& plan) {
  const std::string_view name = dialect_named(plan.recipe.dialect).config_file;
  const json::Value config = name.empty() ? json::Value() : new_config(plan);
  if (!config.is_null()) plan.layout.texts.emplace_back(name, json::dump(config) + "\n");
}

void add_assets(Plan& plan, const GgufModel* gguf) {
  plan.left_out = plan.source.left_out;
  if (!writes_directory(plan.recipe)) {
    for (const Asset& asset : plan.source.assets) {
      if (gguf != nullptr && std::ranges::find(gguf->files, asset.name) != gguf->files.end()) continue;
      plan.left_out.push_back(
          {.what = asset.name + " (a single file holds no other files)", .size_bytes = asset.size_bytes});
    }
    return;
  }
  for (const Asset& asset : plan.source.assets) {
    // The report describes the run that wrote it.
    const bool replaced = asset.name == "config.json" || ((asset.name == kReportName || is_config_file(asset.name)) &&
                                                          plan.recipe.task != Recipe::Task::Copy);
    if (!replaced) plan.layout.copies.push_back(asset);
  }
  if (plan.recipe.task != Recipe::Task::Copy) add_config_file(plan);
  const bool has_config = !plan.source.config.empty();
  if (has_config || plan.recipe.task == Recipe::Task::Quantize) {
    plan.layout.texts.emplace_back("config.json", model_config(plan));
  }
}

// What PyTorch loads as a state_dict of a model.
std::vector<std::string> torch_runtimes(const Plan& plan) {
  const auto loads = [](const Step& step) { return !step.quantizes() || step.dialect == kTorchQuantized.name; };
  return std::ranges::all_of(plan.steps, loads) ? kTorchQuantized.loads_in({}) : std::vector<std::string>();
}

std::vector<std::string> runtimes(Plan& plan) {
  if (plan.recipe.task == Recipe::Task::Copy) return {};
  if (writes_torch(plan.recipe)) return torch_runtimes(plan);
  const bool folder = writes_directory(plan.recipe);
  const bool diffusion = plan.recipe.dialect == kComfyUi.name && plan.recipe.task != Recipe::Task::Dequantize;
  if (diffusion ? folder : plan.source.config.empty() || !folder) return {};
  std::vector<std::string> common = {"transformers", "vLLM"};
  if (diffusion) common = {"ComfyUI"};
  // It asks for its map, which there is if something is quantized.
  if (plan.recipe.dialect == kQuanto.name && std::ranges::any_of(plan.steps, &Step::quantizes)) {
    common = {"optimum-quanto"};
  }
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    // Runtimes replace their class Linear only.
    const bool linear = step.kind == TensorKind::Linear || step.kind == TensorKind::Head;
    const std::vector<std::string> able =
        linear ? dialect_named(step.dialect).loads_in(*step.spec) : std::vector<std::string>();
    std::erase_if(common,
                  [&](const std::string& name) { return std::find(able.begin(), able.end(), name) == able.end(); });
  }
  if (disagreeing_set(plan) && std::erase(common, "vLLM") > 0) {
    plan.notes.push_back("vLLM needs one encoding in q/k/v and in gate/up: this plan mixes them");
  }
  return common;
}

}  // namespace

bool writes_directory(const Recipe& recipe) {
  return recipe.format == "hf_safetensors";
}

bool writes_torch(const Recipe& recipe) {
  return recipe.format == "torch_zip";
}

std::string output_file(const Recipe& recipe, const std::string& file) {
  if (!writes_directory(recipe)) return {};
  constexpr std::string_view kSafetensors = ".safetensors";
  constexpr std::string_view kTorchShard = "pytorch_model-";
  if (file.ends_with(kSafetensors)) return file;
  if (file.starts_with(kTorchShard)) {
    return "model-" + file.substr(kTorchShard.size(), file.rfind('.') - kTorchShard.size()) + std::string(kSafetensors);
  }
  return "model.safetensors";
}

void finish_layout(Plan& plan, const GgufModel* gguf) {
  plan.layout.limits = plan.recipe.limits;
  if (gguf == nullptr) add_metadata(plan);
  add_assets(plan, gguf);
  assign_shards(plan);
  if (gguf != nullptr) {
    add_gguf_values(plan, *gguf);
  } else {
    plan.loads_in = runtimes(plan);
  }
  require_runtime_rules(plan);
}

}  // namespace mq
