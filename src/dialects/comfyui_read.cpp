// Finding the quantized weights of a file for ComfyUI, ours or another tool's.
#include <algorithm>
#include <map>
#include <span>

#include "src/dialects/comfyui.hpp"
#include "src/dialects/reader.hpp"

namespace mq::comfyui {
namespace {

constexpr std::string_view kMarker = ".comfy_quant", kOldScale = ".scale_weight", kOldFlag = "scaled_fp8";
// A text of a few words.
constexpr std::int64_t kMaxMarkerBytes = 4096;

bool is_old_flag(std::string_view name) {
  if (!name.ends_with(kOldFlag)) return false;
  name.remove_suffix(kOldFlag.size());
  return name.empty() || name.ends_with('.');
}

// Whether anything says that weights are quantized: most files have nothing of the kind.
bool says_anything(const Checkpoint& checkpoint) {
  const auto is_marker = [](const TensorInfo& tensor) {
    return tensor.name.ends_with(kMarker) || is_old_flag(tensor.name);
  };
  return std::ranges::any_of(checkpoint.metadata(), [](const auto& entry) { return entry.first == kMetadataKey; }) ||
         std::ranges::any_of(checkpoint.tensors(), is_marker);
}

// By module, as the metadata has them.
std::map<std::string, json::Value> markers_in_metadata(const Checkpoint& checkpoint) {
  std::map<std::string, json::Value> markers;
  for (const auto& [key, value] : checkpoint.metadata()) {
    const auto* const text = std::get_if<std::string>(&value);
    if (key != kMetadataKey || text == nullptr) continue;
    const json::Value root = json::parse(*text, checkpoint.path().string() + ": " + std::string(kMetadataKey));
    const json::Value* const layers = root.find("layers");
    if (layers == nullptr || layers->as_object() == nullptr) continue;
    for (const auto& [module, marker] : *layers->as_object()) markers.insert_or_assign(module, marker);
  }
  return markers;
}

class Finder : DialectReader {
 public:
  explicit Finder(const Checkpoint& checkpoint) : DialectReader(checkpoint, {}) {}

  std::vector<LogicalTensor> all() {
    std::map<std::string, json::Value> markers = markers_in_metadata(checkpoint());
    const bool old = markers.empty();
    const auto tensors = checkpoint().tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      if (name.ends_with(kMarker)) markers.emplace(name.substr(0, name.size() - kMarker.size()), read_marker(i));
    }
    std::vector<LogicalTensor> found;
    for (const auto& [module, marker] : markers) found.push_back(weight(module, marker));
    if (old) add_old(found);
    return found;
  }

 private:
  json::Value read_marker(std::size_t index) const {
    const TensorInfo& stored = tensor(index);
    if (stored.dtype != DType::UInt8 || stored.numel() > kMaxMarkerBytes) {
      corrupt(stored.name, "bad marker of a quantized layer",
              "at most " + std::to_string(kMaxMarkerBytes) + " bytes of JSON",
              std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
    }
    const Tensor bytes = checkpoint().read(index);
    const std::string text(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size());
    return json::parse(text, checkpoint().path().string() + ": " + printable(stored.name));
  }

  // The index of NAME, which must be of one of these types and have so many elements.
  std::size_t expect(const std::string& name, std::initializer_list<DType> types, std::int64_t numel) const {
    const TensorInfo& stored = require(name);
    bool fits = false;
    for (const DType type : types) fits = fits || stored.dtype == type;
    if (!fits || stored.numel() != numel) {
      corrupt(name, "type or size against the layer's marker",
              std::string(to_string(*types.begin())) + ", " + std::to_string(numel) + " elements",
              std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
    }
    return *find(name);
  }

  LogicalTensor start(const std::string& name, Shape shape, QuantSpec spec, DType original) {
    LogicalTensor out{.info = {.name = name, .dtype = original, .shape = std::move(shape)}, .dialect = kComfyUi.name};
    out.spec = share(spec);
    out.info.file = require(name).file;
    return out;
  }

  Shape matrix_of(const std::string& name) const {
    const Shape shape = require(name).shape;
    if (shape.size() != 2) unsupported(name, "shape of a quantized weight", "two dimensions", to_string(shape));
    return shape;
  }

  LogicalTensor weight(const std::string& module, const json::Value& marker) {
    const std::string name = module + ".weight";
    const std::string format = string_member(marker, "format").value_or("");
    std::string dtype = string_member(marker, "orig_dtype").value_or("");
    if (dtype.starts_with("torch.")) dtype.erase(0, std::string_view("torch.").size());
    const DType original = parse_dtype(dtype).value_or(DType::Float32);
    if (bool_member(marker, "convrot") == true || find(module + ".pre_quant_scale")) {
      unsupported(name, "weights that are rotated or scaled by column", "weights as they are", format);
    }
    LogicalTensor out = format == "nvfp4" ? nvfp4(module, original) : scaled(module, format, original);
    for (const std::string_view extra : {kMarker, std::string_view(".input_scale")}) {
      if (const auto index = find(module + std::string(extra))) out.parts.push_back({"", *index});
    }
    return out;
  }

  LogicalTensor scaled(const std::string& module, const std::string& format, DType original) {
    const std::string name = module + ".weight";
    const Shape shape = matrix_of(name);
    const std::string scale = module + ".weight_scale";
    const bool channels = format == "int8_tensorwise" && require(scale).numel() != 1;
    QuantSpec spec;
    if (format == "float8_e4m3fn") {
      spec = parse_spec("fp8_e4m3:tensor");
    } else if (format == "float8_e5m2") {
      spec = parse_spec("fp8_e5m2:tensor");
    } else if (format == "int8_tensorwise") {
      spec = parse_spec(channels ? "int8:full" : "int8:tensor:full");
    } else {
      unsupported(name, "a format of ComfyUI that is not read", "float8_e4m3fn, float8_e5m2, int8_tensorwise or nvfp4",
                  "'" + printable(format) + "'");
    }
    spec.scale_dtype = DType::Float32;
    LogicalTensor out = start(name, shape, spec, original);
    out.parts.push_back({"codes", expect(name, {spec.element}, numel(shape))});
    out.parts.push_back({"scale", expect(scale, {DType::Float32}, channels ? shape[0] : 1)});
    return out;
  }

  LogicalTensor nvfp4(const std::string& module, DType original) {
    const std::string name = module + ".weight";
    Shape shape = matrix_of(name);
    if (shape[1] % 8 != 0 || shape[1] > (std::int64_t{1} << 40)) {
      corrupt(name, "bad shape of packed 4-bit floats", "[out, in / 2] with whole blocks of 16", to_string(shape));
    }
    shape[1] *= 2;
    using Form = PartForm;
    LogicalTensor out = start(name, shape, parse_spec("nvfp4"), original);
    out.parts.push_back({"codes",
                         expect(name, {DType::UInt8}, numel(shape) / 2),
                         {.packing = Form::Packing::Along, .fields = Form::Fields::HighFirst}});
    out.parts.push_back(
        {"scale",
         expect(module + ".weight_scale", {DType::Float8E4M3FN, DType::UInt8}, numel(tiled_scale_shape(shape))),
         {.packing = Form::Packing::Tiles}});
    out.parts.push_back(
        {"global_scale", expect(module + ".weight_scale_2", {DType::Float32}, 1), {.value = Form::Value::Inverse}});
    return out;
  }

  // Scaled FP8 without markers: one tensor says that it is in the file.
  void add_old(std::vector<LogicalTensor>& found) {
    std::optional<std::size_t> flag;
    const auto tensors = checkpoint().tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (is_old_flag(tensors[i].name)) flag = i;
    }
    if (!flag) return;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      if (!name.ends_with(kOldScale)) continue;
      const std::string module(name.substr(0, name.size() - kOldScale.size()));
      const auto codes = find(module + ".weight");
      if (!codes || tensor(*codes).dtype != DType::Float8E4M3FN) continue;
      QuantSpec spec = parse_spec("fp8_e4m3:tensor");
      spec.scale_dtype = DType::Float32;
      LogicalTensor out = start(module + ".weight", matrix_of(module + ".weight"), spec, DType::Float32);
      out.parts.push_back({"codes", *codes});
      out.parts.push_back({"scale", expect(tensors[i].name, {DType::Float32}, 1)});
      if (const auto input = find(module + ".scale_input")) out.parts.push_back({"", *input});
      if (flag) out.parts.push_back({"", *std::exchange(flag, std::nullopt)});
      found.push_back(std::move(out));
    }
  }
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  if (!config.is_null() || !says_anything(checkpoint)) return std::nullopt;
  std::vector<LogicalTensor> found = Finder(checkpoint).all();
  if (found.empty()) return std::nullopt;
  return found;
}

}  // namespace mq::comfyui
