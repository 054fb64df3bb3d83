#include "src/dialects/comfyui.hpp"

#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace comfyui {

std::string_view format_of(const QuantSpec& spec) {
  const bool tensor = std::holds_alternative<PerTensor>(spec.granularity);
  const auto* const channel = std::get_if<PerChannel>(&spec.granularity);
  const bool symmetric = spec.mapping == Mapping::Symmetric && !spec.activation;
  if (spec.codec == "nvfp4") return spec.activation ? "" : "nvfp4";
  if (spec.codec == "fp8" && tensor && symmetric) {
    return spec.element == DType::Float8E4M3FN ? "float8_e4m3fn" : "float8_e5m2";
  }
  const bool int8 = spec.is_integer() && spec.bits == 8 && spec.element == DType::Int8;
  return int8 && symmetric && (tensor || (channel && channel->axis == 0)) ? "int8_tensorwise" : "";
}

Shape tiled_scale_shape(const Shape& weight) {
  const std::int64_t blocks = weight[1] / 16;
  return {(weight[0] + 127) / 128 * 128, (blocks + 3) / 4 * 4};
}

}  // namespace comfyui

namespace {

using namespace comfyui;

constexpr const char* kLayout = "ComfyUI's layout";

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  require_matrix_of_module(request, kLayout);
  if (format_of(spec).empty()) {
    refuse(request, kLayout, "fp8_e4m3:tensor, nvfp4, int8 or int8:tensor", "use fp8_e4m3:tensor");
  }
  if (spec.codec == "nvfp4") {
    if (request.shape[0] % 16 == 0) return;
    throw Error({.code = ErrorCode::Usage,
                 .message = std::string(kLayout) + " has NVFP4 for whole blocks of 16 rows",
                 .tensor = request.name,
                 .expected = "rows that are a multiple of 16",
                 .found = to_string(request.shape),
                 .hint = "keep it with --exclude, or use fp8_e4m3:tensor"});
  }
  if (scale_dtype_of(spec) != DType::Float32) refuse(request, kLayout, "scales of float32", "leave --scale-dtype out");
}

std::vector<std::byte> marker(const DialectRequest& request) {
  json::Value value;
  value.set("format", format_of(request.codec.spec));
  // Ignored by ComfyUI; the type that decoded weights get here.
  value.set("orig_dtype", "torch." + std::string(info(request.original).name));
  const std::string text = json::dump(value, -1);
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const QuantSpec& spec = request.codec.spec;
  const std::string module = module_of(request.name);
  const auto info = [&](std::string name, DType dtype, Shape shape) {
    return TensorInfo{.name = std::move(name), .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  std::vector<StoredOutput> list;
  if (spec.codec == "nvfp4") {
    using Form = PartForm;
    list = {{.info = info(request.name, DType::UInt8, {request.shape[0], request.shape[1] / 2}),
             .part = "codes",
             .form = {.packing = Form::Packing::Along, .fields = Form::Fields::HighFirst}},
            {.info = info(module + ".weight_scale", DType::Float8E4M3FN, tiled_scale_shape(request.shape)),
             .part = "scale",
             .form = {.packing = Form::Packing::Tiles}},
            {.info = info(module + ".weight_scale_2", DType::Float32, {}),
             .part = "global_scale",
             .form = {.value = Form::Value::Inverse}}};
  } else {
    const bool tensor = std::holds_alternative<PerTensor>(spec.granularity);
    list = {{.info = info(request.name, spec.element, request.shape), .part = "codes"},
            {.info = info(module + ".weight_scale", DType::Float32, tensor ? Shape{} : Shape{request.shape[0], 1}),
             .part = "scale"}};
  }
  const auto bytes = static_cast<std::int64_t>(marker(request).size());
  list.push_back({.info = info(module + ".comfy_quant", DType::UInt8, {bytes}), .part = {}, .constant = marker});
  return list;
}

DType scale_dtype(const QuantSpec& spec, DType) {
  return spec.codec == "nvfp4" ? *spec.scale_dtype : DType::Float32;
}

CodeForm form(const QuantSpec& spec) {
  return spec.codec == "nvfp4" ? CodeForm::Packed : CodeForm::Bytes;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  return format_of(spec).empty() || spec.range == RangeKind::Signed ? std::vector<std::string>()
                                                                    : std::vector<std::string>{"ComfyUI"};
}

}  // namespace

const Dialect kComfyUi = {.name = "comfyui",
                          .scale_dtype = scale_dtype,
                          .form = form,
                          .outputs = outputs,
                          .config = nullptr,
                          .loads_in = loads_in,
                          .recognise = comfyui::recognise};

}  // namespace mq
