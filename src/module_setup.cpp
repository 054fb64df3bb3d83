#include "src/module_setup.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mq/quantize.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace detail {
namespace {

[[noreturn]] void not_finite(std::string_view module, std::string_view what, float found) {
  throw Error({.code = ErrorCode::Numeric,
               .message = std::string(module) + ": " + std::string(what),
               .expected = "finite numbers",
               .found = std::to_string(found)});
}

void require_params(const TensorQParams& params, std::string_view module, const std::string& of) {
  if (!std::isfinite(params.scale)) not_finite(module, "the scale of " + of, params.scale);
  if (!(params.scale >= smallest_scale(DType::Float32))) {
    refuse(module, "the scale of " + of, "a positive number with a finite reciprocal", std::to_string(params.scale));
  }
  if (params.zero_point < 0 || params.zero_point > 255) {
    refuse(module, "the zero point of " + of, "0 to 255", std::to_string(params.zero_point));
  }
}

ModuleActivations activations_of(const QuantSpec* spec, std::string_view module) {
  if (spec == nullptr || !spec->activation) return FloatActivations{};
  if (spec->activation->dynamic) return DynamicActivations{.how = *spec->activation};
  refuse(module, "the parameters of static activations are not known", "StaticActivations in the options",
         to_string(*spec));
}

}  // namespace

void refuse(std::string_view module, std::string what, std::string expected, std::string found) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(module) + ": " + std::move(what),
               .expected = std::move(expected),
               .found = std::move(found)});
}

ModuleOptions checked_options(ModuleOptions options, const QuantSpec* spec, std::int64_t outputs,
                              std::string_view module) {
  if (!options.bias.empty() && static_cast<std::int64_t>(options.bias.size()) != outputs) {
    refuse(module, "the elements of the bias", std::to_string(outputs) + ", one for each output",
           std::to_string(options.bias.size()));
  }
  for (const float b : options.bias) {
    if (!std::isfinite(b)) not_finite(module, "the bias", b);
  }
  if (!options.activations) options.activations = activations_of(spec, module);
  input_quantizer(*options.activations);
  if (const auto* fixed = std::get_if<StaticActivations>(&*options.activations)) {
    require_params(fixed->input, module, "the input");
    if (fixed->output) require_params(*fixed->output, module, "the output");
  }
  return options;
}

std::optional<ActivationQuantizer> input_quantizer(const ModuleActivations& activations) {
  if (std::holds_alternative<FloatActivations>(activations)) return std::nullopt;
  if (const auto* dynamic = std::get_if<DynamicActivations>(&activations)) {
    return ActivationQuantizer(dynamic->how, dynamic->reduce_range);
  }
  return ActivationQuantizer({.per_token = false, .mapping = Mapping::Asymmetric});
}

std::optional<ActivationQuantizer::Params> fixed_params(const ModuleActivations& activations) {
  const auto* fixed = std::get_if<StaticActivations>(&activations);
  if (fixed == nullptr) return std::nullopt;
  return ActivationQuantizer::Params{fixed->input.scale, static_cast<float>(fixed->input.zero_point - 128)};
}

std::int64_t size_of(const ModuleInput& x) {
  return std::visit([](const auto& span) { return static_cast<std::int64_t>(span.size()); }, x);
}

std::int64_t size_of(const ModuleOutput& y) {
  return std::visit([](const auto& span) { return static_cast<std::int64_t>(span.size()); }, y);
}

ActivationRows rows_of(const ModuleInput& x, std::int64_t rows, std::int64_t k) {
  const bool is_float = std::holds_alternative<std::span<const float>>(x);
  const auto bytes = std::visit([](const auto& span) { return std::as_bytes(span); }, x);
  return {{is_float ? DType::Float32 : DType::UInt8, {}, bytes}, rows, k};
}

void require_code_support(const ModuleInput& x, const ModuleOutput& y, const ModuleOptions& options,
                          std::string_view module) {
  const auto* fixed = std::get_if<StaticActivations>(&*options.activations);
  if (fixed == nullptr && !std::holds_alternative<std::span<const float>>(x)) {
    refuse(module, "the input", "floats, as activations are not static", "codes");
  }
  if ((fixed == nullptr || !fixed->output) && !std::holds_alternative<std::span<float>>(y)) {
    refuse(module, "the output", "floats, as there are no parameters for outputs", "codes");
  }
}

}  // namespace detail

TensorQParams tensor_qparams(const Range& range) {
  const QParams params = choose_qparams({&range, 1}, parse_spec("uint8:tensor:asym"));
  return {params.scales[0], params.zero_points[0]};
}

DynamicActivations pytorch_dynamic_activations() {
  return {.how = {.element = "int8", .per_token = false, .mapping = Mapping::Asymmetric}, .reduce_range = true};
}

}  // namespace mq
