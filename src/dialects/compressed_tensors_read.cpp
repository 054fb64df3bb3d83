// Finding the quantized weights of a compressed-tensors checkpoint, ours or another tool's.
#include <algorithm>
#include <regex>
#include <unordered_map>

#include "src/dialects/compressed_tensors.hpp"
#include "src/pool.hpp"
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

std::string text_of(const json::Value* value) {
  return value ? json::dump(*value, -1) : std::string("nothing");
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
  if (name && *name == "group" && group_size && group_size->as_int()) return PerGroup{*group_size->as_int()};
  if (name && *name == "block" && block && block->as_array() && block->as_array()->size() == 2) {
    const std::int64_t* rows = (*block->as_array())[0].as_int();
    const std::int64_t* cols = (*block->as_array())[1].as_int();
    if (rows && cols) return PerBlock{*rows, *cols};
  }
  corrupt(checkpoint, "", "quantization config: bad strategy of weights",
          "tensor, channel, group with group_size or block with block_structure", text_of(strategy));
}

QuantSpec spec_of(const Checkpoint& checkpoint, const json::Value& group) {
  const json::Value* args = group.find("weights");
  if (!args) corrupt(checkpoint, "", "quantization config: a group has no weights", "an object", "nothing");
  const json::Value* bits = args->find("num_bits");
  const json::Value* type = args->find("type");
  const json::Value* symmetric = args->find("symmetric");
  const std::int64_t count = bits && bits->as_int() ? *bits->as_int() : 0;
  const bool is_float = type && type->as_string() && *type->as_string() == "float";
  if (count < 2 || count > 8 || (is_float && count != 8)) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "quantization config: weights of an encoding that is not read",
                 .file = checkpoint.path().string(),
                 .expected = "num_bits 2 to 8 of type int, or 8 of type float",
                 .found = "num_bits " + text_of(bits) + " of type " + text_of(type)});
  }
  QuantSpec spec;
  spec.codec = is_float ? "fp8" : "affine";
  spec.element = is_float ? DType::Float8E4M3FN : DType::Int8;
  spec.bits = static_cast<int>(count);
  spec.granularity = granularity_of(checkpoint, *args);
  spec.mapping = symmetric && symmetric->as_bool() && !*symmetric->as_bool() ? Mapping::Asymmetric : Mapping::Symmetric;
  // Files do not say how a scale was found; Full is the library's own formula and covers every code.
  spec.range = is_float ? RangeKind::Narrow : RangeKind::Full;
  if (const json::Value* activations = group.find("input_activations"); activations && !activations->is_null()) {
    spec.activation = ActivationSpec{.element = is_float ? "fp8_e4m3" : "int8"};
  }
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

class Finder {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config)
      : checkpoint_(checkpoint), schemes_(schemes_of(checkpoint, config)), own_(config.find("mono_quant")) {
    const auto tensors = checkpoint.tensors();
    index_.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) index_.emplace(tensors[i].name, i);
    if (own_ && own_->as_object()) {
      for (const auto& [name, entry] : *own_->as_object()) extensions_.emplace(name, &entry);
    }
  }

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const TensorInfo& tensor : checkpoint_.tensors()) {
      constexpr std::string_view kPacked = "_packed";
      if (tensor.name.ends_with(kPacked) && tensor.dtype == DType::Int32) {
        const std::string name = tensor.name.substr(0, tensor.name.size() - kPacked.size());
        if (find(name + "_scale")) found.push_back(logical(name, true));
      } else if (bytes_of(tensor.dtype, 1 * info(tensor.dtype).block_numel) == 1 && find(tensor.name + "_scale")) {
        found.push_back(logical(tensor.name, false));
      }
    }
    return found;
  }

 private:
  std::optional<std::size_t> find(const std::string& name) const {
    const auto it = index_.find(name);
    return it == index_.end() ? std::nullopt : std::optional(it->second);
  }

  const TensorInfo& tensor(std::size_t index) const { return checkpoint_.tensors()[index]; }

  // NAME_shape: the dimensions of a packed weight.
  Shape read_shape(const std::string& name) const {
    const auto index = find(name + "_shape");
    if (!index) corrupt(checkpoint_, name, "a packed weight without its shape", name + "_shape", "no such tensor");
    const TensorInfo& stored = tensor(*index);
    if (stored.dtype != DType::Int64 || stored.shape.size() != 1 || stored.shape[0] < 1 || stored.shape[0] > 8) {
      corrupt(checkpoint_, stored.name, "bad shape tensor", "int64 [1..8]",
              std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
    }
    const Tensor values = checkpoint_.read(*index);
    Shape shape(values.as<std::int64_t>().begin(), values.as<std::int64_t>().end());
    numel(shape);
    return shape;
  }

  void apply_extension(const std::string& name, LogicalTensor& logical, QuantSpec& spec) const {
    const auto it = extensions_.find(name);
    if (it == extensions_.end()) return;
    const json::Value& entry = *it->second;
    const auto string = [&](const char* key) {
      const json::Value* value = entry.find(key);
      return value ? value->as_string() : nullptr;
    };
    if (const std::string* text = string("spec")) spec = parse_spec(*text);
    if (const std::string* text = string("dtype")) {
      if (const auto dtype = parse_dtype(*text)) logical.info.dtype = *dtype;
    }
    const json::Value* transposed = entry.find("transposed");
    logical.transposed = transposed && transposed->as_bool() && *transposed->as_bool();
    const json::Value* leading = entry.find("leading_dims");
    if (leading && leading->as_int()) logical.leading_dims = *leading->as_int() == 2 ? 2 : 1;
  }

  LogicalTensor logical(const std::string& name, bool packed) {
    const std::string module = name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
    const Scheme* scheme = scheme_for(schemes_, module);
    if (!scheme) {
      corrupt(checkpoint_, name, "a quantized weight that no group of the quantization config targets",
              "a target that matches " + module, "none");
    }
    const std::size_t codes = *find(packed ? name + "_packed" : name);
    const std::size_t scale = *find(name + "_scale");
    LogicalTensor out{.info = tensor(codes), .dialect = kCompressedTensors.name};
    QuantSpec spec = scheme->spec;
    out.info.name = name;
    out.info.dtype = tensor(scale).dtype;
    out.info.storage = 0;
    if (packed) out.info.shape = read_shape(name);
    if (out.info.shape.size() == 3 && tensor(scale).shape.size() == 3) out.leading_dims = 2;
    apply_extension(name, out, spec);
    spec.scale_dtype = tensor(scale).dtype;
    out.spec = specs_.share(spec);
    const bool asymmetric = spec.mapping == Mapping::Asymmetric;
    const auto zero_point = find(name + "_zero_point");
    if (asymmetric != zero_point.has_value()) {
      corrupt(checkpoint_, name, "zero points against the quantization config",
              asymmetric ? name + "_zero_point" : "no zero points (symmetric)", zero_point ? "zero points" : "none");
    }
    out.parts = {{"codes", codes, packed}, {"scale", scale, false}};
    const bool down = packed && !std::holds_alternative<PerTensor>(spec.granularity);
    if (zero_point) out.parts.push_back({"zero_point", *zero_point, down});
    check_parts(out, packed);
    if (packed) out.parts.push_back({"shape", *find(name + "_shape"), false});
    if (out.transposed) std::swap(out.info.shape.front(), out.info.shape.back());
    return out;
  }

  // What is stored must be what this encoding of this shape would store.
  void check_parts(const LogicalTensor& logical, bool packed) const {
    const QuantSpec& spec = *logical.spec;
    if (!is_float_scale(*spec.scale_dtype)) {
      corrupt(checkpoint_, logical.info.name + "_scale", "bad type of scales", "float32, float16 or bfloat16",
              std::string(to_string(*spec.scale_dtype)));
    }
    std::vector<StoredOutput> outputs;
    try {
      DialectRequest request =
          make_request(kCompressedTensors, logical.info.name, logical.info.shape, logical.leading_dims, "", spec);
      request.codec.form = packed ? CodeForm::Packed : CodeForm::Bytes;
      outputs = kCompressedTensors.outputs(request);
    } catch (const Error& problem) {
      corrupt(checkpoint_, logical.info.name, "shape against the quantization config", problem.details().expected,
              problem.what());
    }
    for (const StoredOutput& expected : outputs) {
      const auto found = find(expected.info.name);
      if (!found) corrupt(checkpoint_, expected.info.name, "missing tensor", "a part of the quantized weight", "none");
      const TensorInfo& stored = tensor(*found);
      const bool same_grid = expected.part != "codes" && stored.numel() == expected.info.numel();
      if (stored.dtype != expected.info.dtype || (stored.shape != expected.info.shape && !same_grid)) {
        corrupt(checkpoint_, stored.name, "shape or type against the quantization config",
                std::string(to_string(expected.info.dtype)) + " " + to_string(expected.info.shape),
                std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
      }
    }
  }

  static bool is_float_scale(DType dtype) {
    return dtype == DType::Float32 || dtype == DType::Float16 || dtype == DType::BFloat16;
  }

  const Checkpoint& checkpoint_;
  std::vector<Scheme> schemes_;
  const json::Value* own_;
  std::unordered_map<std::string_view, std::size_t> index_;  // of the checkpoint's names
  Pool<Shared<QuantSpec>> specs_;
  std::unordered_map<std::string, const json::Value*> extensions_;
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  const json::Value* method = config.find("quant_method");
  if (!method || !method->as_string() || *method->as_string() != "compressed-tensors") return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace mq::compressed_tensors
