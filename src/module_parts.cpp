#include "src/module_parts.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "src/float_rows.hpp"
#include "src/nearest.hpp"

namespace mq::detail {
namespace {

// Of a weight's name and of the bias beside it. PyTorch's packed Linear holds a pair; its Embedding has no bias.
struct Suffixes {
  std::string_view weight, bias;
};
constexpr std::array kSuffixes = {
    Suffixes{".weight", ".bias"},
    Suffixes{"._packed_params._packed_params.0", "._packed_params._packed_params.1"},
    Suffixes{"._packed_params._packed_weight", ""},
};

const LogicalTensor* find(const Source& source, std::string_view name) {
  const auto found = std::ranges::find_if(source.tensors, [&](const LogicalTensor& t) { return t.info.name == name; });
  return found == source.tensors.end() ? nullptr : &*found;
}

std::vector<float> read_bias(const Checkpoint& checkpoint, const Source& source, std::string_view weight) {
  for (const Suffixes& suffixes : kSuffixes) {
    if (!weight.ends_with(suffixes.weight) || suffixes.bias.empty()) continue;
    const std::string_view module = weight.substr(0, weight.size() - suffixes.weight.size());
    const LogicalTensor* bias = find(source, std::string(module) + std::string(suffixes.bias));
    if (bias == nullptr) continue;
    const Tensor values = read_float(checkpoint, *bias);
    return {values.as<float>().begin(), values.as<float>().end()};
  }
  return {};
}

// One number of a float type or of 8 bits with a sign.
float read_number(const Checkpoint& checkpoint, std::size_t index) {
  const TensorInfo& info = checkpoint.tensors()[index];
  if (info.numel() != 1 || (!is_readable_float(info.dtype) && info.dtype != DType::Int8)) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "is no parameter of static activations",
                 .file = checkpoint.path().string(),
                 .tensor = info.name,
                 .expected = "one number",
                 .found = std::string(to_string(info.dtype)) + " " + to_string(info.shape)});
  }
  const Tensor value = checkpoint.read(index);
  if (info.dtype == DType::Int8) return static_cast<float>(value.as<std::int8_t>()[0]);
  float number = 0;
  widen(info.dtype, value.bytes().data(), 1, &number);
  return number;
}

// What the checkpoint stores beside the weight. Its codes are signed.
StaticActivations read_static(const Checkpoint& checkpoint, const LogicalTensor& weight) {
  constexpr std::string_view kScale = ".input_scale";
  const ActivationSpec& how = *weight.spec->activation;
  const auto part = std::ranges::find(weight.parts, "input_scale", &StoredPart::part);
  if (how.element != "int8" || part == weight.parts.end()) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "static activations of this kind are not run",
                 .file = checkpoint.path().string(),
                 .tensor = weight.info.name,
                 .expected = "integers of 8 bits whose scale stands beside the weight",
                 .found = to_string(*weight.spec),
                 .hint = "say in the options how activations are taken"});
  }
  StaticActivations activations = {.input = {read_number(checkpoint, part->tensor), 128}};
  const std::string& scale = checkpoint.tensors()[part->tensor].name;
  if (how.mapping == Mapping::Asymmetric && scale.ends_with(kScale)) {
    const std::string zero = scale.substr(0, scale.size() - kScale.size()) + ".input_zero_point";
    if (const auto index = checkpoint.find(zero)) {
      activations.input.zero_point += static_cast<std::int32_t>(read_number(checkpoint, *index));
    }
  }
  return activations;
}

}  // namespace

const LogicalTensor& find_module_weight(const Checkpoint& checkpoint, const Source& source, std::string_view name) {
  for (const Suffixes& suffixes : kSuffixes) {
    if (const LogicalTensor* found = find(source, std::string(name) + std::string(suffixes.weight))) return *found;
  }
  if (const LogicalTensor* found = find(source, name)) return *found;
  std::vector<std::string_view> names;
  for (const LogicalTensor& tensor : source.tensors) names.push_back(tensor.info.name);
  throw Error({.code = ErrorCode::Usage,
               .message = "no such layer",
               .file = checkpoint.path().string(),
               .expected = "a layer with a weight, or the name of one",
               .found = printable(name),
               .hint = did_you_mean(std::string(name) + ".weight", names)});
}

ModuleParts load_module(const Checkpoint& checkpoint, std::string_view name, ModuleOptions options) {
  const Source source = describe(checkpoint);
  const LogicalTensor& weight = find_module_weight(checkpoint, source, name);
  ModuleParts parts{load_quantized(checkpoint, weight), std::move(options)};
  if (parts.options.bias.empty()) parts.options.bias = read_bias(checkpoint, source, weight.info.name);
  const std::optional<ActivationSpec>& activation = parts.weights.spec().activation;
  if (!parts.options.activations && activation && !activation->dynamic) {
    parts.options.activations = read_static(checkpoint, weight);
  }
  return parts;
}

}  // namespace mq::detail
