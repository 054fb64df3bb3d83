#include "src/runtime_rules.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "mq/destination.hpp"
#include "src/dialects/dialect.hpp"
#include "src/fused_sets.hpp"
#include "src/kinds.hpp"
#include "src/nearest.hpp"
#include "src/plan_layout.hpp"
#include "src/stored_spec.hpp"

namespace mq {
namespace {

// A row per program.
struct Runtime {
  std::string_view name;
  std::string_view loads_as;        // the name that Dialect::loads_in has for it
  bool fuses = false;               // needs one encoding in fused sets
  bool heads = false;               // loads quantized output heads
  std::int64_t packed_quantum = 1;  // of rows and columns of weights of packed integers
  std::string_view format = "hf_safetensors";
  bool any_kind = false;  // loads quantized weights of all kinds
};

constexpr std::array kRuntimes{
    Runtime{.name = "vllm", .loads_as = "vLLM", .fuses = true, .heads = false, .packed_quantum = 64},
    Runtime{.name = "transformers", .loads_as = "transformers", .heads = true},
    Runtime{.name = "gptq", .loads_as = "transformers", .heads = true, .packed_quantum = 32},
    Runtime{.name = "awq", .loads_as = "transformers", .heads = false, .packed_quantum = 8},
    Runtime{.name = "bitsandbytes", .loads_as = "transformers", .heads = false},
    Runtime{.name = "torchao", .loads_as = "transformers", .heads = false},
    Runtime{.name = "quanto", .loads_as = "optimum-quanto", .heads = true},
    Runtime{.name = "comfyui", .loads_as = "ComfyUI", .heads = true, .format = "safetensors"},
    Runtime{.name = "llama.cpp", .loads_as = "llama.cpp", .heads = true, .format = "gguf", .any_kind = true},
    Runtime{.name = "torch", .loads_as = "PyTorch", .heads = true, .format = "torch_zip", .any_kind = true},
};

const Runtime& runtime_named(std::string_view name) {
  std::vector<std::string_view> names;
  std::string list;
  for (const Runtime& runtime : kRuntimes) {
    if (runtime.name == name) return runtime;
    names.push_back(runtime.name);
    list += (list.empty() ? "" : ", ") + std::string(runtime.name);
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "the rules of '" + printable(name) + "' are not known",
               .expected = list,
               .hint = did_you_mean(name, names)});
}

// A weight as its program meets it.
struct LoadedWeight {
  std::string_view name;
  TensorKind kind = TensorKind::Unknown;
  MatrixShape matrix;
  const QuantSpec* spec = nullptr;
  std::string_view dialect;
};

// What the runtime has against a quantized weight; empty: nothing.
std::string objection(const Runtime& runtime, const LoadedWeight& weight) {
  const bool head = weight.kind == TensorKind::Head;
  if (weight.kind != TensorKind::Linear && !head && !runtime.any_kind) {
    return "is " + std::string(to_string(weight.kind)) + ": " + std::string(runtime.loads_as) +
           " loads quantized Linear layers only";
  }
  if (head && !runtime.heads) return std::string(runtime.loads_as) + " loads the output head as floats";
  const std::vector<std::string> able = dialect_named(weight.dialect).loads_in(*weight.spec);
  if (std::ranges::find(able, runtime.loads_as) == able.end()) {
    return std::string(runtime.loads_as) + " does not load " + to_string(*weight.spec) + " from the layout " +
           std::string(weight.dialect);
  }
  const bool packed = weight.spec->is_integer() && !weight.spec->activation;
  if (packed &&
      (weight.matrix.rows % runtime.packed_quantum != 0 || weight.matrix.cols % runtime.packed_quantum != 0)) {
    return "has " + std::to_string(weight.matrix.rows) + " rows of " + std::to_string(weight.matrix.cols) + ": " +
           std::string(runtime.loads_as) + " asks for multiples of " + std::to_string(runtime.packed_quantum);
  }
  return {};
}

// Adds up the encodings of fused sets.
class FusedSets {
 public:
  void add(std::string_view name, const QuantSpec* spec) {
    std::string set = fused_set_of(name);
    if (set.empty()) return;
    std::string text = spec ? stored_spec_text(*spec) : "keep";
    const auto [it, fresh] = specs_.emplace(std::move(set), text);
    if (!fresh && it->second != text && !odd_) odd_ = it->first;
  }
  const std::optional<std::string>& odd() const noexcept { return odd_; }

 private:
  std::map<std::string, std::string> specs_;  // set -> encoding
  std::optional<std::string> odd_;
};

std::string mixed_set(const std::string& set) {
  return "the weights of " + printable(set) + " are fused when they are loaded, and need one encoding";
}

// What it has against the file as such; empty: nothing.
std::string objection(const Runtime& runtime, std::string_view format, std::string_view config) {
  const bool folder = runtime.format == "hf_safetensors";
  if (folder && (format != runtime.format || config.empty())) return "it loads model folders, with a config.json";
  if (format == runtime.format) return {};
  // It reads all that it has ever written, under several names here.
  if (runtime.format == "torch_zip") return format.starts_with("torch") ? "" : "it loads PyTorch checkpoints (NAME.pt)";
  return "it loads single files of the format " + std::string(runtime.format);
}

// What every model for llama.cpp has.
bool has_llama_names(const Source& source) {
  const auto is_architecture = [](const auto& entry) { return entry.first == "general.architecture"; };
  const auto is_embedding = [](const LogicalTensor& tensor) { return tensor.info.name == "token_embd.weight"; };
  return std::ranges::any_of(source.metadata, is_architecture) && std::ranges::any_of(source.tensors, is_embedding);
}

LoadedWeight loaded(const Plan& plan, const Step& step) {
  const TensorInfo& tensor = plan.source.tensors[step.inputs.front()].info;
  return {.name = step.id,
          .kind = step.kind,
          .matrix = matrix_shape(tensor.shape, step.leading_dims),
          .spec = &*step.spec,
          .dialect = step.dialect};
}

}  // namespace

std::optional<std::string> disagreeing_set(const Plan& plan) {
  FusedSets sets;
  for (const Step& step : plan.steps) sets.add(step.id, step.quantizes() ? &*step.spec : nullptr);
  return sets.odd();
}

void require_runtime_rules(const Plan& plan) {
  if (plan.recipe.runtime.empty()) return;
  const Runtime& runtime = runtime_named(plan.recipe.runtime);
  std::string text;
  int count = 0;
  const auto add = [&](const std::string& what) {
    if (count++ < 20) text += (text.empty() ? "" : "; ") + what;
  };
  if (const std::string problem = objection(runtime, plan.recipe.format, plan.source.config); !problem.empty()) {
    add(problem);
  } else if (runtime.format == "gguf" && std::ranges::find(plan.loads_in, runtime.loads_as) == plan.loads_in.end()) {
    add("the architecture of the model is not known, so that its tensors keep their names (--like BASE.gguf gives "
        "them those of a file)");
  }
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    const std::string problem = objection(runtime, loaded(plan, step));
    if (!problem.empty()) add(printable(step.id) + ": " + problem);
  }
  if (runtime.fuses) {
    if (const auto set = disagreeing_set(plan)) add(mixed_set(*set));
  }
  if (count == 0) return;
  if (count > 20) text += "; and " + std::to_string(count - 20) + " more";
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(runtime.loads_as) + " would not load this: " + text,
               .hint = "keep these tensors with --exclude, or give them another --rule"});
}

void check_runtime(const Source& source, std::string_view name, std::vector<Finding>& findings) {
  const Runtime& runtime = runtime_named(name);
  const auto fail = [&](const std::string& tensor, std::string what) {
    findings.push_back({Finding::Severity::Failure, tensor, std::move(what)});
  };
  if (runtime.format != "hf_safetensors") {
    if (std::string problem = objection(runtime, source.format, source.config); !problem.empty())
      fail({}, std::move(problem));
  }
  if (runtime.format == "gguf" && !has_llama_names(source)) fail({}, "has no architecture and names of llama.cpp");
  const std::vector<TensorKind> kinds = classify(source);
  FusedSets sets;
  for (std::size_t i = 0; i < source.tensors.size(); ++i) {
    const LogicalTensor& tensor = source.tensors[i];
    sets.add(tensor.info.name, tensor.spec ? &*tensor.spec : nullptr);
    if (!tensor.spec) continue;
    const LoadedWeight weight{.name = tensor.info.name,
                              .kind = kinds[i],
                              .matrix = matrix_shape(tensor.info.shape, tensor.leading_dims),
                              .spec = &*tensor.spec,
                              .dialect = tensor.dialect};
    const std::string problem = objection(runtime, weight);
    if (!problem.empty()) fail(tensor.info.name, problem);
  }
  if (runtime.fuses && sets.odd()) fail({}, mixed_set(*sets.odd()));
}

std::string require_runtime(std::string_view name) {
  return std::string(runtime_named(name).name);
}

}  // namespace mq
