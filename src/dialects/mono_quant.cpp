#include "src/dialects/mono_quant.hpp"

#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr const char* kConfig = "quantization config: ";

bool is_held(const QuantSpec& spec) {
  return spec.codec == "affine" || spec.codec == "outliers";
}

DType scale_dtype(const QuantSpec&, DType original) {
  return scale_type_of(original);
}

CodeForm form(const QuantSpec& spec) {
  return spec.bits < 8 ? CodeForm::Packed : CodeForm::Bytes;
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  if (!is_held(spec)) refuse(request, "mono_quant's layout", "integers, with outlier columns or without", "use int8");
  std::vector<StoredOutput> list;
  for (const PartInfo& part : codec_of(spec).parts(request.codec)) {
    StoredOutput stored{.info = {.name = request.name + "." + std::string(part.name),
                                 .dtype = part.dtype,
                                 .shape = {part.rows, part.row_bytes / info(part.dtype).block_bytes},
                                 .file = request.file},
                        .part = part.name};
    if (part.name == "codes" && request.codec.form == CodeForm::Packed) {
      stored.info.dtype = DType::Int32;
      stored.info.shape[1] /= info(DType::Int32).block_bytes;
      stored.form.packing = PartForm::Packing::Along;
    } else if (part.name == "codes") {
      stored.info.shape = request.shape;
    }
    list.push_back(std::move(stored));
  }
  return list;
}

json::Value config(const Plan& plan) {
  json::Object weights;
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    Shape shape = plan.source.tensors[step.inputs.front()].info.shape;
    if (step.transposes()) std::swap(shape.front(), shape.back());
    json::Value weight = note_of(plan, step);
    weight.set("shape", json::Array(shape.begin(), shape.end()));
    weights.emplace_back(step.id, std::move(weight));
  }
  json::Value value;
  value.set("quant_method", kMonoQuant.name);
  value.set("version", kVersion);
  value.set("weights", std::move(weights));
  return value;
}

std::vector<std::string> loads_in(const QuantSpec&) {
  return {};
}

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config)
      : DialectReader(checkpoint, config), config_(config) {}

  std::vector<LogicalTensor> all() {
    if (int_member(config_, "version") != kVersion) {
      unsupported("", std::string(kConfig) + "a version that is not read", std::to_string(kVersion),
                  text_of(config_.find("version")));
    }
    const json::Value* const weights = config_.find("weights");
    if (weights == nullptr || weights->as_object() == nullptr) {
      corrupt("", std::string(kConfig) + "no weights", "an object", text_of(weights));
    }
    std::vector<LogicalTensor> found;
    for (const auto& [name, weight] : *weights->as_object()) {
      found.push_back(assemble(kMonoQuant, claim_of(name, weight)));
    }
    return found;
  }

 private:
  WeightClaim claim_of(const std::string& name, const json::Value& weight) const {
    WeightClaim claim{.name = name, .shape = shape_of(name, weight), .spec = spec_of(name, weight)};
    const auto dtype = parse_dtype(string_member(weight, "dtype").value_or(""));
    if (!dtype) corrupt(name, std::string(kConfig) + "bad dtype", "a type", text_of(weight.find("dtype")));
    claim.original = *dtype;
    const TensorInfo& scale = require(name + ".scale");
    if (!is_scale_type(scale.dtype)) {
      corrupt(scale.name, "bad type of scales", "F32, F16 or BF16", std::string(to_string(scale.dtype)));
    }
    claim.spec.scale_dtype = scale.dtype;
    apply_layout(weight, claim);
    return claim;
  }

  QuantSpec spec_of(const std::string& name, const json::Value& weight) const {
    const std::string text = string_member(weight, "spec").value_or("");
    try {
      QuantSpec spec = parse_spec(text);
      if (is_held(spec)) return spec;
    } catch (const Error&) {
    }
    corrupt(name, std::string(kConfig) + "bad spec", "the text of an encoding of integers",
            text_of(weight.find("spec")));
  }

  Shape shape_of(const std::string& name, const json::Value& weight) const {
    const json::Value* const dims = weight.find("shape");
    Shape shape;
    if (dims != nullptr && dims->as_array() != nullptr) {
      for (const json::Value& dim : *dims->as_array()) {
        if (dim.as_int() == nullptr || *dim.as_int() < 0) break;
        shape.push_back(*dim.as_int());
      }
      if (!shape.empty() && shape.size() == dims->as_array()->size()) return shape;
    }
    corrupt(name, std::string(kConfig) + "bad shape", "a list of sizes", text_of(dims));
  }

  const json::Value& config_;
};

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  if (config.is_null() || string_member(config, "quant_method") != kMonoQuant.name) return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace

const Dialect kMonoQuant = {.name = "mono_quant",
                            .scale_dtype = scale_dtype,
                            .form = form,
                            .outputs = outputs,
                            .config = config,
                            .loads_in = loads_in,
                            .recognise = recognise};

}  // namespace mq
