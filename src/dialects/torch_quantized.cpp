#include "src/dialects/torch_quantized.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

#include "src/pool.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr std::string_view kScale = ".q_scale";
constexpr std::string_view kZeroPoint = ".q_zero_point";

// Which weights share a parameter, or nothing if the shapes are not those of this dialect.
std::optional<Granularity> granularity_of(const Shape& shape, const Shape& params) {
  if (params.size() != shape.size()) return std::nullopt;
  std::optional<int> axis;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (params[d] == 1) continue;
    if (axis || params[d] != shape[d]) return std::nullopt;
    axis = static_cast<int>(d);
  }
  if (axis) return PerChannel{*axis};
  return PerTensor{};
}

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value&) {
  std::unordered_map<std::string_view, std::size_t> index;
  const auto tensors = checkpoint.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) index.emplace(tensors[i].name, i);
  std::vector<LogicalTensor> found;
  Pool<Shared<QuantSpec>> specs;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& scale = tensors[i];
    if (!scale.name.ends_with(kScale)) continue;
    const std::string name = scale.name.substr(0, scale.name.size() - kScale.size());
    const auto codes = index.find(name);
    const auto zero = index.find(name + std::string(kZeroPoint));
    if (codes == index.end() || zero == index.end()) continue;
    const TensorInfo& stored = tensors[codes->second];
    const TensorInfo& zero_point = tensors[zero->second];
    const bool codes_fit = stored.dtype == DType::Int8 || stored.dtype == DType::UInt8;
    const bool params_fit = (scale.dtype == DType::Float64 || scale.dtype == DType::Float32) &&
                            zero_point.dtype == DType::Int64 && zero_point.shape == scale.shape;
    const std::optional<Granularity> granularity = granularity_of(stored.shape, scale.shape);
    // Integers of 32 bits and zero points that are floats stay plain tensors: no encoding here has them.
    if (!codes_fit || !params_fit || !granularity) continue;
    LogicalTensor logical{.info = stored, .dialect = kTorchQuantized.name};
    logical.info.dtype = DType::Float32;
    logical.info.storage = 0;
    logical.spec = specs.share(QuantSpec{.codec = "affine",
                                         .element = stored.dtype,
                                         .bits = 8,
                                         .granularity = *granularity,
                                         .mapping = Mapping::Asymmetric,
                                         .scale_dtype = DType::Float32});
    logical.parts = {{"codes", codes->second}, {"scale", i}, {"zero_point", zero->second}};
    found.push_back(std::move(logical));
  }
  if (found.empty()) return std::nullopt;
  return found;
}

DType scale_dtype(const QuantSpec&, DType) {
  return DType::Float32;  // what PyTorch computes with, whatever it stores
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

void check(const DialectRequest& request) {
  if (is_torch_quantized(request.codec.spec, request.leading_dims)) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "PyTorch has no quantized tensors of this encoding",
               .tensor = request.name,
               .expected = "integers of 8 bits, a scale per tensor or per index of one dimension",
               .found = to_string(request.codec.spec),
               .hint = "the compressed_tensors dialect writes packed tensors"});
}

// Sizes 1, but for the dimension whose indices have a parameter each.
Shape params_shape(const DialectRequest& request) {
  Shape shape(request.shape.size(), 1);
  if (const auto* channel = std::get_if<PerChannel>(&request.codec.spec.granularity)) {
    const auto axis = static_cast<std::size_t>(channel->axis);
    shape[axis] = request.shape[axis];
  }
  return shape;
}

std::vector<std::byte> common_zero_points(const DialectRequest& request) {
  const auto zero = static_cast<std::int64_t>(ParamRule(request.codec.spec).common_zero_point());
  const std::vector<std::int64_t> all(static_cast<std::size_t>(numel(params_shape(request))), zero);
  const auto bytes = std::as_bytes(std::span(all));
  return {bytes.begin(), bytes.end()};
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const auto tensor = [&](std::string_view suffix, DType dtype, Shape shape) {
    return TensorInfo{
        .name = request.name + std::string(suffix), .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  const PartForm wide{.value = PartForm::Value::Widest};
  const bool common = request.codec.spec.mapping == Mapping::Symmetric;
  return {{.info = tensor("", request.codec.spec.element, request.shape), .part = "codes"},
          {.info = tensor(kScale, DType::Float64, params_shape(request)), .part = "scale", .form = wide},
          {.info = tensor(kZeroPoint, DType::Int64, params_shape(request)),
           .part = common ? "" : "zero_point",
           .form = wide,
           .constant = common ? common_zero_points : nullptr}};
}

std::vector<std::string> loads_in(const QuantSpec&) {
  return {"PyTorch"};
}

}  // namespace

bool is_torch_quantized(const QuantSpec& spec, int leading_dims) {
  const bool per_tensor = std::holds_alternative<PerTensor>(spec.granularity);
  const bool per_channel = std::holds_alternative<PerChannel>(spec.granularity) && leading_dims == 1;
  return spec.is_integer() && spec.bits == 8 && !spec.activation && (per_tensor || per_channel);
}

const Dialect kTorchQuantized = {.name = "torch_quantized",
                                 .scale_dtype = scale_dtype,
                                 .form = form,
                                 .outputs = outputs,
                                 .config = nullptr,
                                 .loads_in = loads_in,
                                 .recognise = recognise};

}  // namespace mq
