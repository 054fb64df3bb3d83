#include "src/dialects/quanto.hpp"

#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr const char* kLayout = "optimum-quanto's layout";
constexpr std::string_view kCodes = "._data", kScale = "._scale", kPackedCodes = "._data._data";

// Its name of an encoding; empty for those that it does not have.
std::string_view qtype_of(const QuantSpec& spec) {
  const auto* const channel = std::get_if<PerChannel>(&spec.granularity);
  if (!channel || channel->axis != 0 || spec.mapping != Mapping::Symmetric || spec.activation) return {};
  if (spec.is_integer()) return spec.bits == 8 && spec.element == DType::Int8 ? "qint8" : "";
  if (spec.codec != "fp8") return {};
  return spec.element == DType::Float8E4M3FN ? "qfloat8_e4m3fn" : "qfloat8_e5m2";
}

std::vector<std::byte> one(const DialectRequest& request) {
  const DType dtype = scale_dtype_of(request.codec.spec);
  constexpr float kOne = 1;
  std::vector<std::byte> bytes(static_cast<std::size_t>(bytes_of(dtype, 1)));
  store_scales(dtype, &kOne, 1, bytes.data());
  return bytes;
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  if (qtype_of(spec).empty()) refuse(request, kLayout, "int8, fp8_e4m3 or fp8_e5m2 by channel", "use int8");
  if (!request.name.ends_with(".weight") || request.shape.size() < 2 || request.leading_dims != 1) {
    refuse(request, kLayout, "weights of Linear and Conv2d layers, called NAME.weight", "keep it with --exclude");
  }
  const std::string module = module_of(request.name);
  const auto info = [&](const std::string& name, DType dtype, Shape shape) {
    return TensorInfo{.name = name, .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  const DType scale_dtype = scale_dtype_of(spec);
  Shape scales(request.shape.size(), 1);
  scales.front() = request.shape.front();
  std::vector<StoredOutput> list = {
      {.info = info(request.name + std::string(kCodes), spec.element, request.shape), .part = "codes"},
      {.info = info(request.name + std::string(kScale), scale_dtype, scales), .part = "scale"}};
  for (const char* const activation : {".input_scale", ".output_scale"}) {
    list.push_back({.info = info(module + activation, scale_dtype, {}), .part = {}, .constant = one, .optional = true});
  }
  return list;
}

DType scale_dtype(const QuantSpec&, DType original) {
  return scale_type_of(original);
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

bool is_standard(const Step& step, DType original) {
  return original == *step.spec->scale_dtype && step.transforms.empty();
}

// The map of modules. Its readers look for the names of modules and for nothing else.
json::Value config(const Plan& plan) {
  json::Object modules = {{"quant_method", kQuanto.name}};
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    json::Value module;
    module.set("weights", qtype_of(*step.spec));
    module.set("activations", "none");
    modules.emplace_back(module_of(step.id), std::move(module));
  }
  json::Value map = std::move(modules);
  add_notes(map, plan, is_standard);
  return map;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (spec.range == RangeKind::Signed) return {};
  return {"optimum-quanto"};
}

class Finder : DialectReader {
 public:
  using DialectReader::DialectReader;

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const TensorInfo& codes : checkpoint().tensors()) {
      if (!codes.name.ends_with(kCodes)) continue;
      std::string name = codes.name.substr(0, codes.name.size() - kCodes.size());
      if (codes.name.ends_with(kPackedCodes)) refuse_packed(codes, name.substr(0, name.size() - kCodes.size()));
      const auto scale = find(name + std::string(kScale));
      if (scale) found.push_back(weight(std::move(name), codes, tensor(*scale)));
    }
    return found;
  }

 private:
  // Another program's tensors may be called so too.
  void refuse_packed(const TensorInfo& codes, const std::string& name) const {
    if (!find(name + "._shift")) return;
    throw Error({.code = ErrorCode::Unsupported,
                 .message =
                     "weights of 2 and 4 bits of optimum-quanto are not read: they have offsets that are floats, "
                     "and no whole zero point",
                 .file = checkpoint().path().string(),
                 .tensor = codes.name,
                 .expected = "qint8, qfloat8_e4m3fn or qfloat8_e5m2",
                 .hint = "quantize the original model, or save what optimum-quanto dequantizes"});
  }

  static std::string_view scheme_of(DType codes) {
    if (codes == DType::Int8) return "int8:full";
    if (codes == DType::Float8E4M3FN) return "fp8_e4m3";
    return codes == DType::Float8E5M2 ? "fp8_e5m2" : "";
  }

  LogicalTensor weight(const std::string& name, const TensorInfo& codes, const TensorInfo& scale) {
    const std::string_view scheme = scheme_of(codes.dtype);
    if (scheme.empty() || !is_scale_type(scale.dtype)) {
      unsupported(codes.name, "types of a weight of optimum-quanto", "I8, F8_E4M3 or F8_E5M2 with scales of floats",
                  std::string(to_string(codes.dtype)) + " with " + std::string(to_string(scale.dtype)));
    }
    WeightClaim claim{.name = name, .shape = codes.shape, .spec = parse_spec(scheme), .original = scale.dtype};
    apply_notes(claim);
    claim.spec.scale_dtype = scale.dtype;
    return assemble(kQuanto, claim);
  }
};

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  const bool named = !config.is_null() && string_member(config, "quant_method") == kQuanto.name;
  if (!named && !config.is_null()) return std::nullopt;
  std::vector<LogicalTensor> found = Finder(checkpoint, config).all();
  if (found.empty() && !named) return std::nullopt;
  return found;
}

}  // namespace

const Dialect kQuanto = {.name = "quanto",
                         .scale_dtype = scale_dtype,
                         .form = form,
                         .outputs = outputs,
                         .config = config,
                         .loads_in = loads_in,
                         .config_file = "quanto_qmap.json",
                         .config_file_only = true,
                         .recognise = recognise};

}  // namespace mq
