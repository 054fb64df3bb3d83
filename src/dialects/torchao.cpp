#include "src/dialects/torchao.hpp"

#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace torchao {

std::string_view class_of(const QuantSpec& spec) {
  const bool tensor = std::holds_alternative<PerTensor>(spec.granularity);
  if (!tensor && !is_grouped_along_rows(spec)) return {};
  if (spec.codec == "fp8") return spec.activation ? "" : kFloat8;
  if (!spec.is_integer() || spec.element != DType::Int8) return {};
  const bool symmetric = spec.mapping == Mapping::Symmetric;
  if (spec.bits == 8 && symmetric && !spec.activation) return kInt8;
  const bool dynamic = spec.activation == ActivationSpec{};
  if (dynamic) return spec.bits == 8 && symmetric && group_size_of(spec) < 0 && !tensor ? kInt8 : "";
  return spec.activation || tensor ? "" : kIntx;
}

std::string part_prefix(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(name.substr(0, dot)) + "._" + std::string(name.substr(dot + 1)) + "_";
}

}  // namespace torchao

namespace {

using namespace torchao;

constexpr const char* kLayout = "torchao's layout";

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  if (class_of(spec).empty()) {
    refuse(request, kLayout, "int8, fp8, int2 to int7 by channel or group, or int8+int8:token:dyn", "use int8");
  }
  if (request.name.str().find('.') == std::string::npos || request.shape.size() != 2 || request.leading_dims != 1) {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::string(kLayout) + " holds matrices of modules only",
                 .tensor = request.name,
                 .expected = "a matrix called MODULE.NAME",
                 .found = to_string(request.shape),
                 .hint = "keep it with --exclude"});
  }
}

std::vector<std::byte> common_zero_points(const DialectRequest& request) {
  return std::vector<std::byte>(static_cast<std::size_t>(request.codec.layout.blocks()), std::byte{0});
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const QuantSpec& spec = request.codec.spec;
  const BlockLayout& layout = request.codec.layout;
  const std::string prefix = part_prefix(request.name.str());
  const Shape grid{layout.grid_rows, layout.grid_cols};
  const auto info = [&](const char* part, DType dtype, Shape shape) {
    return TensorInfo{.name = prefix + part, .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  std::vector<StoredOutput> list = {{.info = info("qdata", spec.element, request.shape), .part = "codes"},
                                    {.info = info("scale", scale_dtype_of(spec), grid), .part = "scale"}};
  if (spec.mapping == Mapping::Asymmetric) {
    list.push_back({.info = info("zero_point", DType::Int8, grid), .part = "zero_point"});
  } else if (class_of(spec) == kIntx || (request.reading && spec.is_integer())) {
    list.push_back({.info = info("zero_point", DType::Int8, grid),
                    .part = "common_zero_point",
                    .constant = common_zero_points,
                    .optional = class_of(spec) != kIntx});
  }
  return list;
}

DType scale_dtype(const QuantSpec& spec, DType original) {
  return class_of(spec) == kIntx && is_scale_type(original) ? original : DType::Float32;
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (class_of(spec).empty() || spec.range == RangeKind::Signed) return {};
  return {"transformers"};
}

}  // namespace

const Dialect kTorchAo = {.name = "torchao",
                          .scale_dtype = scale_dtype,
                          .form = form,
                          .outputs = outputs,
                          .config = torchao::make_config,
                          .loads_in = loads_in,
                          .metadata = torchao::describe,
                          .recognise = torchao::recognise};

}  // namespace mq
