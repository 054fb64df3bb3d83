// What torchao's files say of their tensors: metadata for each, and the quantization_config of config.json.
#include "src/dialects/module_weights.hpp"
#include "src/dialects/torchao.hpp"

namespace mq::torchao {
namespace {

json::Value object_of(std::string_view type, json::Value data) {
  json::Value object;
  object.set("_type", type);
  object.set("_data", std::move(data));
  return object;
}

json::Value torch_dtype(std::string_view name) {
  return object_of("torch.dtype", name);
}

// PyTorch's name of the type of codes: "int4", "float8_e4m3fn".
std::string code_dtype(const QuantSpec& spec) {
  return spec.is_integer() ? "int" + std::to_string(spec.bits) : std::string(info(spec.element).name);
}

json::Value per_row() {
  return object_of("PerRow", json::Object{{"dim", -1}});
}

json::Value granularity_of(const QuantSpec& spec) {
  if (std::holds_alternative<PerTensor>(spec.granularity)) return object_of("PerTensor", json::Object{});
  if (const std::int64_t size = group_size_of(spec); size > 0) {
    return object_of("PerGroup", json::Object{{"group_size", size}});
  }
  return class_of(spec) == kIntx ? object_of("PerAxis", json::Object{{"axis", 0}}) : per_row();
}

json::Value mapping_of(Mapping mapping) {
  return object_of("MappingType", mapping == Mapping::Symmetric ? "SYMMETRIC" : "ASYMMETRIC");
}

json::Value block_size(const Shape& shape, const QuantSpec& spec) {
  const bool tensor = std::holds_alternative<PerTensor>(spec.granularity);
  const std::int64_t size = group_size_of(spec);
  return json::Array{tensor ? shape[0] : 1, size > 0 ? size : shape[1]};
}

json::Value int8_activations() {
  return object_of("QuantizeTensorToInt8Kwargs", json::Object{{"granularity", per_row()},
                                                              {"mapping_type", mapping_of(Mapping::Symmetric)},
                                                              {"reduce_range", false}});
}

std::string weight_text(const QuantSpec& spec, const Shape& shape, DType original) {
  const std::string_view type = class_of(spec);
  json::Value data;
  if (type == kInt8) data.set("act_quant_kwargs", spec.activation ? int8_activations() : json::Value());
  if (type == kIntx) data.set("target_dtype", torch_dtype(code_dtype(spec)));
  data.set("block_size", block_size(shape, spec));
  data.set("dtype", torch_dtype(info(original).name));
  if (type == kIntx) data.set("activation_quantization", nullptr);
  json::Array parts = {"qdata", "scale"};
  if (type == kIntx) parts.emplace_back("zero_point");
  json::Value value = object_of(type, std::move(data));
  value.set("_tensor_data_names", std::move(parts));
  return json::dump(value, -1);
}

json::Value quant_type(const QuantSpec& spec) {
  const std::string_view type = class_of(spec);
  json::Value data;
  data.set("granularity", granularity_of(spec));
  json::Value value;
  const auto of = [&](const char* name) {
    value.set("_type", name);
    value.set("_version", 2);
    value.set("_data", std::move(data));
    return value;
  };
  if (type == kInt8) return of(spec.activation ? "Int8DynamicActivationInt8WeightConfig" : "Int8WeightOnlyConfig");
  data.set("weight_dtype", torch_dtype(code_dtype(spec)));
  if (type == kFloat8) return of("Float8WeightOnlyConfig");
  data.set("mapping_type", mapping_of(spec.mapping));
  return of("IntxWeightOnlyConfig");
}

// Scales of float32 do not tell the type of the weights, but the metadata does.
bool is_standard(const Step& step, DType original) {
  return is_scale_type(original) && step.transforms.empty();
}

}  // namespace

bool is_description(std::string_view key, const MetadataValue& value) {
  const std::string* const text = std::get_if<std::string>(&value);
  return key == kTensorNames || (text != nullptr && text->starts_with(R"({"_type")"));
}

Metadata describe(const Plan& plan) {
  const std::string plain = json::dump(json::Object{{"_type", "Tensor"}}, -1);
  Metadata entries;
  json::Array names;
  for (const Step& step : plan.steps) {
    const TensorInfo& original = plan.source.tensors[step.inputs.front()].info;
    const bool described = step.quantizes() && step.dialect == kTorchAo.name;
    if (described) {
      names.emplace_back(step.id);
      const Shape& shape = plan.layout.tensors[step.outputs.front()].shape;
      entries.emplace_back(step.id, weight_text(*step.spec, shape, scale_type_of(original.dtype)));
      continue;
    }
    for (const std::size_t output : step.outputs) {
      names.emplace_back(plan.layout.tensors[output].name);
      entries.emplace_back(plan.layout.tensors[output].name, plain);
    }
  }
  entries.emplace_back(kTensorNames, json::dump(std::move(names), -1));
  return entries;
}

json::Value make_config(const Plan& plan) {
  const Step* const first = first_of_alike(
      plan, "torchao has one encoding for all weights of a model",
      [](const QuantSpec& a, const QuantSpec& b) {
        return a.element == b.element && a.bits == b.bits && a.granularity == b.granularity && a.mapping == b.mapping &&
               a.activation == b.activation;
      },
      [](const QuantSpec& spec) { return to_string(spec); });
  if (first == nullptr) return nullptr;
  json::Array kept;
  for (std::string& module : kept_modules(plan)) kept.emplace_back(std::move(module));
  json::Value config;
  config.set("quant_method", "torchao");
  config.set("quant_type", json::Object{{"default", quant_type(*first->spec)}});
  config.set("modules_to_not_convert", kept.empty() ? json::Value() : json::Value(std::move(kept)));
  config.set("include_input_output_embeddings", false);
  config.set("untie_embedding_weights", false);
  add_notes(config, plan, is_standard);
  return config;
}

}  // namespace mq::torchao
