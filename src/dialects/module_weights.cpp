#include "src/dialects/module_weights.hpp"

#include <algorithm>

#include "src/fused_sets.hpp"

namespace mq {

void refuse(const DialectRequest& request, std::string_view layout, std::string expected, std::string hint) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(layout) + " cannot hold this encoding",
               .tensor = request.name,
               .expected = std::move(expected),
               .found = to_string(request.codec.spec),
               .hint = std::move(hint)});
}

void require_matrix_of_module(const DialectRequest& request, std::string_view layout) {
  if (request.shape.size() == 2 && request.leading_dims == 1 && request.name.ends_with(".weight")) return;
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(layout) + " holds weights of Linear layers only",
               .tensor = request.name,
               .expected = "a matrix called NAME.weight",
               .found = to_string(request.shape),
               .hint = "keep it with --exclude"});
}

bool is_grouped_along_rows(const QuantSpec& spec) noexcept {
  const auto* channel = std::get_if<PerChannel>(&spec.granularity);
  return std::holds_alternative<PerGroup>(spec.granularity) || (channel && channel->axis == 0);
}

std::int64_t group_size_of(const QuantSpec& spec) noexcept {
  const auto* group = std::get_if<PerGroup>(&spec.granularity);
  return group ? group->group_size : -1;
}

void require_whole_words(const DialectRequest& request, std::string_view layout) {
  const auto [out, in] = request.codec.layout.matrix;
  const int bits = request.codec.spec.bits;
  const int fields = bits == 3 ? 32 : 32 / bits;
  if (in % fields == 0 && out % fields == 0 && in > 0 && out > 0) return;
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(layout) + " packs codes into words of 32 bits, which this shape does not fill",
               .tensor = request.name,
               .expected = "rows and columns that are multiples of " + std::to_string(fields),
               .found = to_string(request.shape),
               .hint = "keep it with --exclude"});
}

DType scale_dtype_of_model(const QuantSpec&, DType original) {
  return original == DType::BFloat16 ? original : DType::Float16;
}

std::string module_pattern(const std::string& module) {
  const std::size_t dot = module.rfind('.') + 1;
  std::string leaf = module.substr(dot);
  std::string escaped;
  for (const char c : module.substr(0, dot)) {
    constexpr std::string_view kSpecial = R"(.^$|()[]{}*+?\)";
    if (kSpecial.find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  if (const std::string_view fused = fused_module_of(leaf); !fused.empty()) {
    leaf = "(?:" + leaf + "|" + std::string(fused) + ")";
  }
  return "^" + escaped + leaf + "$";
}

std::vector<std::string> kept_modules(const Plan& plan) {
  std::vector<std::string> names;
  for (const Step& step : plan.steps) {
    const bool module =
        step.kind == TensorKind::Linear || step.kind == TensorKind::Head || step.kind == TensorKind::Router;
    if (module && !step.quantizes() && step.action != Step::Action::Drop) names.push_back(module_of(step.id));
  }
  return names;
}

json::Array kept_but_head(const Plan& plan) {
  std::vector<std::string> names = kept_modules(plan);
  std::erase(names, "lm_head");
  return {names.begin(), names.end()};
}

bool quantizes_head(const Plan& plan) {
  return std::ranges::any_of(plan.steps,
                             [](const Step& step) { return step.quantizes() && step.kind == TensorKind::Head; });
}

const Step* first_of_alike(const Plan& plan, const char* message, bool (*alike)(const QuantSpec&, const QuantSpec&),
                           std::string (*text)(const QuantSpec&)) {
  const Step* first = nullptr;
  for (const Step& step : plan.steps) {
    if (!step.quantizes()) continue;
    if (first == nullptr) first = &step;
    if (alike(*step.spec, *first->spec)) continue;
    throw Error({.code = ErrorCode::Usage,
                 .message = message,
                 .tensor = step.id,
                 .expected = text(*first->spec) + ", as " + printable(first->id),
                 .found = text(*step.spec)});
  }
  return first;
}

}  // namespace mq
