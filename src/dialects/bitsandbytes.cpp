#include "src/dialects/bitsandbytes.hpp"

#include <array>
#include <cstring>

#include "src/codecs/double_quant.hpp"
#include "src/codecs/levels.hpp"
#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace bitsandbytes {

std::vector<std::byte> levels_of(const QuantSpec& spec) {
  const LevelFormat& format = *level_format(spec);
  std::array<float, 16> by_code{};
  for (std::size_t code = 0; code < 16; ++code) {
    const float* const value = format.levels.value;
    const float level = !format.levels.sign_magnitude ? value[code] : code < 8 ? value[code] : -value[code - 8];
    by_code[format.stored[code]] = level;
  }
  const auto bytes = std::as_bytes(std::span(by_code));
  return {bytes.begin(), bytes.end()};
}

}  // namespace bitsandbytes

namespace {

using namespace bitsandbytes;

constexpr const char* kLayout = "bitsandbytes";

bool is_4bit(const QuantSpec& spec) {
  return spec.codec == "nf4" || spec.codec == "fp4";
}

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  require_matrix_of_module(request, kLayout);
  if (scale_dtype_of(spec) != DType::Float32) {
    refuse(request, kLayout, "scales of float32", "leave --scale-dtype out");
  }
  if (is_4bit(spec)) {
    const auto* group = std::get_if<PerGroup>(&spec.granularity);
    const std::int64_t size = group ? group->group_size : 0;
    if (size < 32 || size > 4096 || (size & (size - 1)) != 0) {
      refuse(request, kLayout, "groups of 32, 64 … 4096", "use " + spec.codec + ":g64");
    }
    return;
  }
  const bool int8 = spec.is_integer() && spec.bits == 8 && spec.element == DType::Int8;
  const auto* channel = std::get_if<PerChannel>(&spec.granularity);
  if (int8 && !spec.activation && spec.mapping == Mapping::Symmetric && channel && channel->axis == 0) return;
  refuse(request, kLayout, "nf4, fp4, or int8:channel", "use nf4, or int8");
}

std::vector<std::byte> quant_map(const DialectRequest& request) {
  return levels_of(request.codec.spec);
}

// What weights are decoded to.
std::string_view float_name(DType original) {
  const bool half = original == DType::BFloat16 || original == DType::Float16;
  return half ? info(original).name : "float32";
}

std::vector<std::byte> nested_quant_map(const DialectRequest&) {
  const auto bytes = std::as_bytes(std::span(nested_levels()));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> bytes_of_text(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

json::Value quant_state_object(const DialectRequest& request) {
  json::Value state;
  state.set("quant_type", request.codec.spec.codec);
  state.set("blocksize", std::get<PerGroup>(request.codec.spec.granularity).group_size);
  state.set("dtype", float_name(request.original));
  const Shape& shape = request.weight_shape.empty() ? request.shape : request.weight_shape;
  state.set("shape", json::Array{shape[0], shape[1]});
  return state;
}

std::vector<std::byte> quant_state(const DialectRequest& request) {
  return bytes_of_text(json::dump(quant_state_object(request), -1));
}

// Spaces at the end make texts with any offset equally long: the size of a tensor does not depend on data.
constexpr std::size_t kOffsetChars = 26;  // "-2.2250738585072014e-308" and two more

std::vector<std::byte> nested_quant_state(const DialectRequest& request, float offset) {
  json::Value state = quant_state_object(request);
  state.set("nested_blocksize", kNestedBlock);
  state.set("nested_dtype", "float32");
  const std::size_t length =
      json::dump(state, -1).size() + std::string_view(R"(,"nested_offset":)").size() + kOffsetChars;
  state.set("nested_offset", static_cast<double>(offset));
  std::string text = json::dump(state, -1);
  text.resize(length, ' ');
  return bytes_of_text(text);
}

std::vector<std::byte> nested_quant_state_text(const DialectRequest& request, std::span<const std::byte> part) {
  float offset = 0;
  std::memcpy(&offset, part.data(), sizeof offset);
  return nested_quant_state(request, offset);
}

std::vector<std::byte> row_format(const DialectRequest&) {
  return {std::byte{0}};
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const SharedString& name = request.name;
  const auto info = [&](std::string full, DType dtype, Shape shape) {
    return TensorInfo{.name = std::move(full), .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  if (!is_4bit(request.codec.spec)) {
    const std::string module = module_of(name);
    return {{.info = info(name, DType::Int8, request.shape), .part = "codes"},
            {.info = info(module + ".SCB", DType::Float32, {request.shape[0]}),
             .part = "scale",
             .form = {.value = PartForm::Value::Times127}},
            {.info = info(module + ".weight_format", DType::UInt8, {}), .part = {}, .constant = row_format}};
  }
  const std::int64_t blocks = request.codec.layout.blocks();
  const bool nested = request.codec.spec.double_quant;
  const auto state_bytes =
      static_cast<std::int64_t>((nested ? nested_quant_state(request, 0) : quant_state(request)).size());
  const std::string state = name + ".quant_state.bitsandbytes__" + request.codec.spec.codec;
  std::vector<StoredOutput> list = {
      {.info = info(name, DType::UInt8, {request.codec.layout.matrix.numel() / 2, 1}),
       .part = "codes",
       .form = {.packing = PartForm::Packing::Along, .fields = PartForm::Fields::HighFirst}},
      {.info = info(name + ".absmax", nested ? DType::UInt8 : DType::Float32, {blocks}), .part = "scale"},
      {.info = info(name + ".quant_map", DType::Float32, {16}), .part = {}, .constant = quant_map}};
  if (!nested) {
    list.push_back({.info = info(state, DType::UInt8, {state_bytes}), .part = {}, .constant = quant_state});
    return list;
  }
  const std::int64_t nested_blocks = (blocks + kNestedBlock - 1) / kNestedBlock;
  list.push_back({.info = info(name + ".nested_absmax", DType::Float32, {nested_blocks}), .part = "nested_absmax"});
  list.push_back(
      {.info = info(name + ".nested_quant_map", DType::Float32, {256}), .part = {}, .constant = nested_quant_map});
  list.push_back(
      {.info = info(state, DType::UInt8, {state_bytes}), .part = "nested_offset", .text = nested_quant_state_text});
  return list;
}

DType scale_dtype_float(const QuantSpec&, DType) {
  return DType::Float32;
}

CodeForm form(const QuantSpec& spec) {
  return is_4bit(spec) ? CodeForm::Packed : CodeForm::Bytes;
}

bool is_standard(const Step& step, DType original) {
  const bool known = is_4bit(*step.spec) || original == DType::Float16;
  return known && step.transforms.empty() && step.spec->range != RangeKind::Signed;
}

json::Value config(const Plan& plan) {
  const Step* const first = first_of_alike(
      plan, "bitsandbytes has one encoding for all weights of a model",
      [](const QuantSpec& a, const QuantSpec& b) { return a.codec == b.codec && a.double_quant == b.double_quant; },
      [](const QuantSpec& spec) { return to_string(spec); });
  if (first == nullptr) return nullptr;
  const bool four = is_4bit(*first->spec);
  const DType original = plan.source.tensors[first->inputs.front()].info.dtype;
  json::Array kept = kept_but_head(plan);
  if (!quantizes_head(plan)) kept.emplace_back("lm_head");
  json::Value config;
  config.set("quant_method", "bitsandbytes");
  config.set("load_in_4bit", four);
  config.set("load_in_8bit", !four);
  if (four) {
    config.set("bnb_4bit_quant_type", first->spec->codec);
    config.set("bnb_4bit_use_double_quant", first->spec->double_quant);
    config.set("bnb_4bit_compute_dtype", float_name(original));
    config.set("bnb_4bit_quant_storage", "uint8");
  }
  config.set("llm_int8_skip_modules", std::move(kept));
  config.set("llm_int8_threshold", 6.0);
  config.set("llm_int8_has_fp16_weight", false);
  config.set("llm_int8_enable_fp32_cpu_offload", false);
  add_notes(config, plan, is_standard);
  return config;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (spec.range == RangeKind::Signed) return {};
  return {"transformers", "vLLM"};
}

}  // namespace

const Dialect kBitsAndBytes = {.name = "bitsandbytes",
                               .scale_dtype = scale_dtype_float,
                               .form = form,
                               .outputs = outputs,
                               .config = config,
                               .loads_in = loads_in,
                               .recognise = bitsandbytes::recognise,
                               .groups_cross_rows = true,
                               .least_group = 32,
                               .most_group = 4096};

}  // namespace mq
