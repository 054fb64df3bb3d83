// Finding the quantized weights of a compressed-tensors checkpoint, ours or another tool's.
#include <algorithm>
#include <regex>

#include "src/dialects/compressed_tensors.hpp"
#include "src/dialects/reader.hpp"
#include "src/text_match.hpp"

namespace mq::compressed_tensors {
namespace {

[[noreturn]] void corrupt(const Checkpoint& checkpoint, std::string tensor, std::string message, std::string expected,
                          std::string found) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = checkpoint.path().string(),
               .tensor = std::move(tensor),
               .expected = std::move(expected),
               .found = std::move(found)});
}

// One entry of config_groups.
struct Scheme {
  QuantSpec spec;
  std::vector<std::string> names;
  std::vector<std::regex> patterns;
  bool linear = false;
};

Granularity granularity_of(const Checkpoint& checkpoint, const json::Value& args) {
  const json::Value* strategy = args.find("strategy");
  const std::string* name = strategy ? strategy->as_string() : nullptr;
  const json::Value* group_size = args.find("group_size");
  const json::Value* block = args.find("block_structure");
  if (name && *name == "tensor") return PerTensor{};
  if (name && *name == "channel") return PerChannel{};
  const bool groups = name && (*name == "group" || *name == "tensor_group");
  if (groups && group_size && group_size->as_int()) return PerGroup{*group_size->as_int()};
  if (name && *name == "block" && block && block->as_array() && block->as_array()->size() == 2) {
    const std::int64_t* rows = (*block->as_array())[0].as_int();
    const std::int64_t* cols = (*block->as_array())[1].as_int();
    if (rows && cols) return PerBlock{*rows, *cols};
  }
  corrupt(checkpoint, "", "quantization config: bad strategy of weights",
          "tensor, channel, group with group_size or block with block_structure", text_of(strategy));
}

// NVFP4 has groups of 16, MXFP4 of 32.
QuantSpec spec_of_fp4(const Checkpoint& checkpoint, const json::Value& args, bool activations) {
  const json::Value* group_size = args.find("group_size");
  const std::int64_t size = group_size && group_size->as_int() ? *group_size->as_int() : 0;
  if (size == 16) return parse_spec(activations ? "nvfp4+nvfp4" : "nvfp4");
  if (size == 32) return parse_spec("mxfp4");
  throw Error({.code = ErrorCode::Unsupported,
               .message = "quantization config: 4-bit floats of an encoding that is not read",
               .file = checkpoint.path().string(),
               .expected = "group_size 16 (NVFP4) or 32 (MXFP4)",
               .found = text_of(group_size)});
}

QuantSpec spec_of_mxfp8(const Checkpoint& checkpoint, const json::Value& args) {
  const json::Value* group_size = args.find("group_size");
  if (group_size && group_size->as_int() && *group_size->as_int() == 32) return parse_spec("mxfp8");
  throw Error({.code = ErrorCode::Unsupported,
               .message = "quantization config: 8-bit floats in groups of an encoding that is not read",
               .file = checkpoint.path().string(),
               .expected = "group_size 32 (MXFP8)",
               .found = text_of(group_size)});
}

ActivationSpec activation_of(const json::Value& args, bool is_float) {
  ActivationSpec activation{.element = is_float ? "fp8_e4m3" : "int8"};
  if (!is_float && bool_member(args, "symmetric") == false) activation.mapping = Mapping::Asymmetric;
  // Anything else than a truth value is a way of being dynamic.
  activation.dynamic = bool_member(args, "dynamic").value_or(true);
  activation.per_token = activation.dynamic && string_member(args, "strategy") != "tensor";
  return activation;
}

QuantSpec spec_of(const Checkpoint& checkpoint, const json::Value& group) {
  const json::Value* args = group.find("weights");
  if (!args) corrupt(checkpoint, "", "quantization config: a group has no weights", "an object", "nothing");
  const json::Value* bits = args->find("num_bits");
  const json::Value* type = args->find("type");
  const json::Value* symmetric = args->find("symmetric");
  const std::int64_t count = bits && bits->as_int() ? *bits->as_int() : 0;
  const bool is_float = type && type->as_string() && *type->as_string() == "float";
  const json::Value* const activations = group.find("input_activations");
  const bool has_activations = activations != nullptr && !activations->is_null();
  if (is_float && count == 4) {
    const bool local = has_activations && string_member(*activations, "dynamic") == "local";
    return spec_of_fp4(checkpoint, *args, local && int_member(*activations, "num_bits") == 4);
  }
  if (is_float && count == 8 && string_member(*args, "strategy") == "group") return spec_of_mxfp8(checkpoint, *args);
  if (count < 2 || count > 8 || (is_float && count != 8)) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "quantization config: weights of an encoding that is not read",
                 .file = checkpoint.path().string(),
                 .expected = "num_bits 2 to 8 of type int, or 4 or 8 of type float",
                 .found = "num_bits " + text_of(bits) + " of type " + text_of(type)});
  }
  QuantSpec spec;
  spec.codec = is_float ? "fp8" : "affine";
  spec.element = is_float ? DType::Float8E4M3FN : DType::Int8;
  spec.bits = static_cast<int>(count);
  spec.granularity = granularity_of(checkpoint, *args);
  spec.mapping = symmetric && symmetric->as_bool() && !*symmetric->as_bool() ? Mapping::Asymmetric : Mapping::Symmetric;
  // Files do not say how a scale was found; Full is the library's own formula and covers every code. Asymmetric
  // mappings have one formula.
  const bool has_formula = !is_float && spec.mapping == Mapping::Symmetric;
  spec.range = has_formula ? RangeKind::Full : RangeKind::Narrow;
  if (has_activations) spec.activation = activation_of(*activations, is_float);
  return spec;
}

std::vector<Scheme> schemes_of(const Checkpoint& checkpoint, const json::Value& config) {
  const json::Value* groups = config.find("config_groups");
  if (!groups || !groups->as_object()) {
    corrupt(checkpoint, "", "quantization config: no config_groups", "an object", text_of(groups));
  }
  std::vector<Scheme> schemes;
  for (const auto& [name, group] : *groups->as_object()) {
    Scheme scheme{.spec = spec_of(checkpoint, group)};
    const json::Value* targets = group.find("targets");
    if (!targets || !targets->as_array()) {
      corrupt(checkpoint, "", "quantization config: " + name + " has no targets", "a list", text_of(targets));
    }
    for (const json::Value& target : *targets->as_array()) {
      const std::string* text = target.as_string();
      if (!text) continue;
      if (text->starts_with("re:")) {
        scheme.patterns.push_back(compile_regex(text->substr(3)));
      } else if (*text == "Linear") {
        scheme.linear = true;
      } else {
        scheme.names.push_back(*text);
      }
    }
    std::sort(scheme.names.begin(), scheme.names.end());
    schemes.push_back(std::move(scheme));
  }
  return schemes;
}

// The most specific scheme for a module: exact name, then regular expression, then class.
const Scheme* scheme_for(const std::vector<Scheme>& schemes, const std::string& module) {
  for (const Scheme& scheme : schemes) {
    if (std::binary_search(scheme.names.begin(), scheme.names.end(), module)) return &scheme;
  }
  for (const Scheme& scheme : schemes) {
    for (const std::regex& pattern : scheme.patterns) {
      if (std::regex_search(module, pattern, std::regex_constants::match_continuous)) return &scheme;
    }
  }
  for (const Scheme& scheme : schemes) {
    if (scheme.linear) return &scheme;
  }
  return schemes.size() == 1 ? &schemes.front() : nullptr;
}

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config)
      : DialectReader(checkpoint, config), schemes_(schemes_of(checkpoint, config)) {}

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const TensorInfo& tensor : checkpoint().tensors()) {
      constexpr std::string_view kPacked = "_packed";
      if (tensor.name.ends_with(kPacked) && (tensor.dtype == DType::Int32 || tensor.dtype == DType::UInt8)) {
        const std::string name = tensor.name.substr(0, tensor.name.size() - kPacked.size());
        if (find(name + "_scale")) found.push_back(logical(name, true));
      } else if (bytes_of(tensor.dtype, 1 * info(tensor.dtype).block_numel) == 1 && find(tensor.name + "_scale")) {
        found.push_back(logical(tensor.name, false));
      }
    }
    return found;
  }

 private:
  // NAME_shape: the dimensions of a packed weight.
  Shape read_shape(const std::string& name) const {
    const auto index = find(name + "_shape");
    if (!index) corrupt(name, "a packed weight without its shape", name + "_shape", "no such tensor");
    const TensorInfo& stored = tensor(*index);
    if (stored.dtype != DType::Int64 || stored.shape.size() != 1 || stored.shape[0] < 1 || stored.shape[0] > 8) {
      corrupt(stored.name, "bad shape tensor", "int64 [1..8]",
              std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
    }
    const Tensor values = checkpoint().read(*index);
    Shape shape(values.as<std::int64_t>().begin(), values.as<std::int64_t>().end());
    numel(shape);
    return shape;
  }

  LogicalTensor logical(const std::string& name, bool packed) {
    const std::string module = module_of(name);
    const Scheme* scheme = scheme_for(schemes_, module);
    if (!scheme) {
      corrupt(name, "a quantized weight that no group of the quantization config targets",
              "a target that matches " + module, "none");
    }
    const TensorInfo& codes = tensor(*find(packed ? name + "_packed" : name));
    const TensorInfo& scale = tensor(*find(name + "_scale"));
    WeightClaim claim{.name = name,
                      .shape = codes.shape,
                      .spec = scheme->spec,
                      .original = scale.dtype,
                      .form = packed ? CodeForm::Packed : CodeForm::Bytes};
    if (has_small_scales(scheme->spec)) return weight_with_small_scales(claim);
    if (packed) claim.shape = read_shape(name);
    if (claim.shape.size() == 3 && scale.shape.size() == 3) claim.leading_dims = 2;
    apply_notes(claim);
    claim.spec.scale_dtype = scale.dtype;
    if (!is_scale_type(scale.dtype)) {
      corrupt(scale.name, "bad type of scales", "float32, float16 or bfloat16", std::string(to_string(scale.dtype)));
    }
    const bool asymmetric = claim.spec.mapping == Mapping::Asymmetric;
    const auto zero_point = find(name + "_zero_point");
    if (asymmetric != zero_point.has_value()) {
      corrupt(name, "zero points against the quantization config",
              asymmetric ? name + "_zero_point" : "no zero points (symmetric)", zero_point ? "zero points" : "none");
    }
    LogicalTensor weight = assemble(kCompressedTensors, claim);
    add_input_parts(module, claim.spec, weight);
    return weight;
  }

  // What goes with a weight for its activations.
  void add_input_parts(const std::string& module, const QuantSpec& spec, LogicalTensor& weight) const {
    if (!has_static_activation(spec)) return;
    const TensorInfo& scale = require(module + (is_fp4(spec) ? ".input_global_scale" : ".input_scale"));
    if (!is_scale_type(scale.dtype) || scale.numel() != 1) {
      corrupt(scale.name, "bad scale of a static activation", "one number of float32, float16 or bfloat16",
              std::string(to_string(scale.dtype)) + " " + to_string(scale.shape));
    }
    weight.parts.push_back({"input_scale", *find(scale.name)});
    if (const auto zero_point = find(module + ".input_zero_point")) weight.parts.push_back({"", *zero_point});
  }

  LogicalTensor weight_with_small_scales(WeightClaim& claim) {
    const bool packed = is_fp4(claim.spec), stored_packed = claim.form == CodeForm::Packed;
    if (claim.shape.size() != 2 || packed != stored_packed || claim.shape[1] > (std::int64_t{1} << 40)) {
      corrupt(claim.name, packed ? "bad shape of packed 4-bit floats" : "bad shape of 8-bit floats",
              packed ? "[out, in / 2]" : "[out, in]", to_string(claim.shape));
    }
    if (packed) claim.shape[1] *= 2;
    claim.original = DType::BFloat16;
    const std::optional<DType> scale_dtype = claim.spec.scale_dtype;
    const std::string codec = claim.spec.codec;
    apply_notes(claim);
    claim.spec.scale_dtype = scale_dtype;
    if (claim.spec.codec != codec) {
      corrupt(claim.name, "notes of the quantization config against its groups", codec, claim.spec.codec);
    }
    LogicalTensor weight = assemble(kCompressedTensors, claim);
    add_input_parts(module_of(claim.name), claim.spec, weight);
    return weight;
  }

  std::vector<Scheme> schemes_;
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  const json::Value* method = config.find("quant_method");
  if (!method || !method->as_string() || *method->as_string() != "compressed-tensors") return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace mq::compressed_tensors
