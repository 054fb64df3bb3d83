#include "src/dialects/reader.hpp"

namespace mq {
namespace {

std::string type_and_shape(const TensorInfo& tensor) {
  return std::string(to_string(tensor.dtype)) + " " + to_string(tensor.shape);
}

ErrorDetails details_of(const Checkpoint& checkpoint, ErrorCode code, std::string_view tensor, std::string message,
                        std::string expected, std::string found) {
  return {.code = code,
          .message = std::move(message),
          .file = checkpoint.path().string(),
          .tensor = std::string(tensor),
          .expected = std::move(expected),
          .found = std::move(found)};
}

}  // namespace

DialectReader::DialectReader(const Checkpoint& checkpoint, const json::Value& config) : checkpoint_(checkpoint) {
  const auto tensors = checkpoint.tensors();
  index_.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) index_.emplace(tensors[i].name, i);
  const json::Value* own = config.is_null() ? nullptr : config.find("mono_quant");
  if (own == nullptr || own->as_object() == nullptr) return;
  for (const auto& [name, entry] : *own->as_object()) notes_.emplace(name, &entry);
}

std::optional<std::size_t> DialectReader::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? std::nullopt : std::optional(it->second);
}

const TensorInfo& DialectReader::require(const std::string& name) const {
  if (const auto index = find(name)) return tensor(*index);
  corrupt(name, "missing tensor", "a part of the quantized weight", "none");
}

void DialectReader::corrupt(std::string_view tensor, std::string message, std::string expected,
                            std::string found) const {
  throw Error(
      details_of(checkpoint_, ErrorCode::Corrupt, tensor, std::move(message), std::move(expected), std::move(found)));
}

void DialectReader::unsupported(std::string_view tensor, std::string message, std::string expected,
                                std::string found) const {
  throw Error(details_of(checkpoint_, ErrorCode::Unsupported, tensor, std::move(message), std::move(expected),
                         std::move(found)));
}

void DialectReader::apply_notes(WeightClaim& claim) const {
  const auto it = notes_.find(claim.name);
  if (it == notes_.end()) return;
  const json::Value& note = *it->second;
  if (const auto text = string_member(note, "spec")) {
    const std::optional<DType> scale_dtype = claim.spec.scale_dtype;
    claim.spec = parse_spec(*text);
    claim.spec.scale_dtype = scale_dtype;
  }
  if (const auto text = string_member(note, "dtype")) {
    if (const auto dtype = parse_dtype(*text)) claim.original = *dtype;
  }
  apply_layout(note, claim);
}

LogicalTensor DialectReader::assemble(const Dialect& dialect, const WeightClaim& claim) {
  std::vector<StoredOutput> outputs;
  try {
    DialectRequest request =
        make_request(dialect, claim.name, claim.shape, claim.leading_dims, "", claim.spec, claim.original);
    request.reading = true;
    if (claim.form) request.codec.form = *claim.form;
    outputs = dialect.outputs(request);
  } catch (const Error& problem) {
    corrupt(claim.name, "shape against the quantization config", problem.details().expected, problem.what());
  }
  LogicalTensor out{.info = {.name = claim.name, .dtype = claim.original, .shape = claim.shape},
                    .spec = specs_.share(claim.spec),
                    .dialect = dialect.name,
                    .leading_dims = claim.leading_dims,
                    .transposed = claim.transposed};
  if (out.transposed) std::swap(out.info.shape.front(), out.info.shape.back());
  for (const StoredOutput& expected : outputs) {
    if (expected.optional && !find(expected.info.name)) continue;
    const TensorInfo& stored = require(expected.info.name);
    const bool same_grid = expected.part != "codes" && stored.numel() == expected.info.numel();
    if (stored.dtype != expected.info.dtype || (stored.shape != expected.info.shape && !same_grid)) {
      corrupt(stored.name, "shape or type against the quantization config", type_and_shape(expected.info),
              type_and_shape(stored));
    }
    out.parts.push_back({expected.part, *find(expected.info.name), expected.form});
    if (expected.part == "codes") out.info.file = stored.file;
  }
  return out;
}

json::Value note_of(const Plan& plan, const Step& step) {
  json::Value note;
  note.set("spec", to_string(*step.spec));
  note.set("dtype", to_string(plan.source.tensors[step.inputs.front()].info.dtype));
  if (step.transposes()) note.set("transposed", true);
  if (step.leading_dims != 1) note.set("leading_dims", step.leading_dims);
  return note;
}

void apply_layout(const json::Value& note, WeightClaim& claim) {
  claim.transposed = bool_member(note, "transposed").value_or(false);
  if (int_member(note, "leading_dims") == 2) claim.leading_dims = 2;
}

void add_notes(json::Value& config, const Plan& plan, bool (*is_standard)(const Step& step, DType original)) {
  json::Object weights;
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    const TensorInfo& original = plan.source.tensors[step.inputs.front()].info;
    if (is_standard(step, original.dtype)) continue;
    weights.emplace_back(step.id, note_of(plan, step));
  }
  if (!weights.empty()) config.set("mono_quant", std::move(weights));
}

std::string module_of(std::string_view name) {
  constexpr std::string_view kSuffix = ".weight";
  return std::string(name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : name);
}

std::string text_of(const json::Value* value) {
  return value ? json::dump(*value, -1) : std::string("nothing");
}

std::optional<std::int64_t> int_member(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value && value->as_int() ? std::optional(*value->as_int()) : std::nullopt;
}

std::optional<bool> bool_member(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value && value->as_bool() ? std::optional(*value->as_bool()) : std::nullopt;
}

std::optional<std::string> string_member(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value && value->as_string() ? std::optional(*value->as_string()) : std::nullopt;
}

bool is_scale_type(DType dtype) noexcept {
  return dtype == DType::Float32 || dtype == DType::Float16 || dtype == DType::BFloat16;
}

DType scale_type_of(DType original) noexcept {
  return is_scale_type(original) ? original : DType::Float32;
}

}  // namespace mq
