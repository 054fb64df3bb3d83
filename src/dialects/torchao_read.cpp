// Finding the quantized weights of a torchao checkpoint, ours or another tool's.
#include <charconv>

#include "src/dialects/reader.hpp"
#include "src/dialects/torchao.hpp"

namespace mq::torchao {
namespace {

// The "_data" of a member that is an object with a type.
const json::Value* data_of(const json::Value& object, std::string_view key) {
  const json::Value* const member = object.find(key);
  return member != nullptr ? member->find("_data") : nullptr;
}

// "bfloat16" of {"_type": "torch.dtype", "_data": "bfloat16"}; empty if it is not so.
std::string dtype_name(const json::Value& data, std::string_view key) {
  const json::Value* const name = data_of(data, key);
  return name != nullptr && name->as_string() ? *name->as_string() : std::string();
}

// Whether the config says that all zero points are 0; metadata does not say it.
bool is_symmetric(const json::Value& config) {
  const json::Value* const types = config.is_null() ? nullptr : config.find("quant_type");
  const json::Value* const common = types != nullptr ? types->find("default") : nullptr;
  if (common == nullptr) return false;
  const std::string type = string_member(*common, "_type").value_or("");
  if (type == "Int8WeightOnlyConfig" || type == "Int8DynamicActivationInt8WeightConfig") return true;
  const json::Value* const data = common->find("_data");
  const json::Value* const mapping = data != nullptr ? data_of(*data, "mapping_type") : nullptr;
  return mapping != nullptr && mapping->as_string() && mapping->as_string()->starts_with("SYMMETRIC");
}

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config)
      : DialectReader(checkpoint, config), symmetric_(is_symmetric(config)) {}

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const auto& [name, value] : checkpoint().metadata()) {
      if (name == kTensorNames || !is_description(name, value)) continue;
      const json::Value entry =
          json::parse(std::get<std::string>(value), checkpoint().path().string() + ": metadata of " + printable(name));
      const std::string type = string_member(entry, "_type").value_or("");
      if (type == "Tensor" || type == "torch.Tensor") continue;
      found.push_back(weight(name, type, entry));
    }
    return found;
  }

 private:
  LogicalTensor weight(const std::string& name, const std::string& type, const json::Value& entry) {
    if (type != kInt8 && type != kFloat8 && type != kIntx) {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "weights that torchao packs for a kernel are not read",
                   .file = checkpoint().path().string(),
                   .tensor = name,
                   .expected = "Int8Tensor, Float8Tensor or IntxUnpackedToInt8Tensor",
                   .found = "'" + printable(type) + "'",
                   .hint = "quantize the original model, or save what torchao dequantizes"});
    }
    const json::Value* const data = entry.find("_data");
    if (name.find('.') == std::string::npos || data == nullptr || data->as_object() == nullptr) {
      corrupt(name, "bad description of a weight in the metadata", "_data of a tensor of a module", text_of(data));
    }
    const std::string prefix = part_prefix(name);
    const TensorInfo& codes = require(prefix + "qdata");
    const TensorInfo& scale = require(prefix + "scale");
    if (codes.shape.size() != 2)
      unsupported(name, "shape of a quantized weight", "two dimensions", to_string(codes.shape));
    if (!is_scale_type(scale.dtype)) {
      corrupt(scale.name, "bad type of scales", "float32, float16 or bfloat16", std::string(to_string(scale.dtype)));
    }
    // It multiplies what comes in, so that the codes are those of other weights.
    if (find(prefix + "act_pre_scale")) {
      unsupported(name, "weights that are scaled by column", "weights as they are", "act_pre_scale");
    }
    WeightClaim claim{.name = name, .shape = codes.shape, .spec = spec_of(name, type, *data, codes)};
    claim.original = parse_dtype(dtype_name(*data, "dtype")).value_or(DType::Float32);
    if (!is_scale_type(claim.original)) claim.original = DType::Float32;
    const QuantSpec stored = claim.spec;
    apply_notes(claim);
    claim.spec.scale_dtype = scale.dtype;
    if (claim.spec.bits != stored.bits || class_of(claim.spec) != class_of(stored)) {
      corrupt(name, "notes of the quantization config against the metadata", to_string(stored), to_string(claim.spec));
    }
    LogicalTensor out = assemble(kTorchAo, claim);
    // Of the activations.
    for (const char* const extra : {"act_quant_scale", "act_quant_zero_point"}) {
      if (const auto index = find(prefix + extra)) out.parts.push_back({"", *index});
    }
    return out;
  }

  QuantSpec spec_of(const std::string& name, const std::string& type, const json::Value& data,
                    const TensorInfo& codes) const {
    QuantSpec spec = parse_spec("int8:full");
    if (type == kFloat8) {
      if (codes.dtype != DType::Float8E4M3FN && codes.dtype != DType::Float8E5M2) {
        unsupported(codes.name, "type of 8-bit floats", "F8_E4M3 or F8_E5M2", std::string(to_string(codes.dtype)));
      }
      spec = parse_spec(codes.dtype == DType::Float8E4M3FN ? "fp8_e4m3" : "fp8_e5m2");
    }
    if (type == kIntx) spec.bits = bits_of(name, dtype_name(data, "target_dtype"));
    spec.granularity = granularity_of(name, data, codes.shape);
    if (const auto zero_point = find(part_prefix(name) + "zero_point"); zero_point && !symmetric_) {
      if (tensor(*zero_point).dtype != DType::Int8) {
        unsupported(tensor(*zero_point).name, "zero points that are no whole numbers", "I8",
                    std::string(to_string(tensor(*zero_point).dtype)));
      }
      spec.mapping = Mapping::Asymmetric;
      spec.range = RangeKind::Narrow;
    } else if (const json::Value* const activations = data_of(data, "act_quant_kwargs");
               activations != nullptr && type == kInt8 && std::holds_alternative<PerChannel>(spec.granularity)) {
      spec.activation = ActivationSpec{};
    }
    return spec;
  }

  int bits_of(const std::string& name, std::string_view target) const {
    int bits = 0;
    constexpr std::string_view kInt = "int";
    if (target.starts_with(kInt)) {
      std::from_chars(target.data() + kInt.size(), target.data() + target.size(), bits);
    }
    if (bits < 2 || bits > 8) {
      unsupported(name, "width of integers", "int2 to int8", "'" + printable(target) + "'");
    }
    return bits;
  }

  // "block_size": the shape of what shares a scale; none, or an empty one, is the whole tensor.
  Granularity granularity_of(const std::string& name, const json::Value& data, const Shape& shape) const {
    const json::Value* const member = data.find("block_size");
    const json::Array* const sides = member != nullptr ? member->as_array() : nullptr;
    if (member == nullptr || member->is_null() || (sides != nullptr && sides->empty())) return PerTensor{};
    const bool two = sides != nullptr && sides->size() == 2 && (*sides)[0].as_int() && (*sides)[1].as_int();
    const std::int64_t rows = two ? *(*sides)[0].as_int() : 0, cols = two ? *(*sides)[1].as_int() : 0;
    if (rows == 1 && cols == shape[1]) return PerChannel{};
    if (rows == shape[0] && cols == shape[1]) return PerTensor{};
    if (rows == 1 && cols > 0 && shape[1] % cols == 0) return PerGroup{cols};
    unsupported(name, "block_size of a weight", "one row, a part of one that divides it, or all of " + to_string(shape),
                text_of(member));
  }

  bool symmetric_;
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  const bool named = !config.is_null() && string_member(config, "quant_method") == kTorchAo.name;
  if (!named && (!config.is_null() || find_string(checkpoint.metadata(), kTensorNames) == nullptr)) return std::nullopt;
  std::vector<LogicalTensor> found = Finder(checkpoint, config).all();
  if (!found.empty() || !named) return found.empty() ? std::nullopt : std::optional(std::move(found));
  throw Error({.code = ErrorCode::Unsupported,
               .message = "the configuration says torchao, but the files do not describe any weight as its safetensors "
                          "form does",
               .file = checkpoint.path().string(),
               .hint = "save the model as safetensors with a current torchao"});
}

}  // namespace mq::torchao
