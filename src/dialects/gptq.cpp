#include "src/dialects/gptq.hpp"

#include <cstring>

#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

using namespace gptq;

void check(const DialectRequest& request, bool v2) {
  const QuantSpec& spec = request.codec.spec;
  const char* const layout = v2 ? "GPTQ (v2)" : "GPTQ";
  const bool bits = spec.bits == 2 || spec.bits == 3 || spec.bits == 4 || spec.bits == 8;
  if (!spec.is_integer() || !bits) {
    refuse(request, layout, "integers of 2, 3, 4 or 8 bits", "use int4 or int8");
  }
  require_matrix_of_module(request, layout);
  if (spec.activation) refuse(request, layout, "weights alone: activations stay floats", "drop the activation");
  if (!is_grouped_along_rows(spec)) refuse(request, layout, "groups or channels", "use :gN or :channel");
  if (!v2 && !request.reading && spec.mapping == Mapping::Asymmetric) {
    refuse(request, layout, "symmetric mappings: it stores zero points less one, and 0 has none",
           "use --dialect gptq_v2, or :sym");
  }
  require_whole_words(request, layout);
}

// Words of 32 bits, each filled with fields of the same value.
std::vector<std::byte> filled_words(std::int64_t count, int bits, std::uint32_t field) {
  // 3 bits repeat after three words.
  const auto word = [&](std::int64_t index) {
    std::uint32_t out = 0;
    for (int bit = 0; bit < 32; ++bit) out |= (field >> ((index * 32 + bit) % bits) & 1u) << bit;
    return out;
  };
  std::vector<std::byte> bytes(static_cast<std::size_t>(count * 4));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t value = word(i % bits);
    std::memcpy(bytes.data() + i * 4, &value, sizeof value);
  }
  return bytes;
}

std::int64_t zero_words(const DialectRequest& request) {
  return request.codec.layout.grid_cols * (request.codec.layout.matrix.rows * request.codec.spec.bits / 32);
}

std::vector<std::byte> zero_points(const DialectRequest& request) {
  const int bits = request.codec.spec.bits;
  return filled_words(zero_words(request), bits, std::uint32_t{1} << (bits - 1));
}

std::vector<std::byte> zero_points_less_one(const DialectRequest& request) {
  const int bits = request.codec.spec.bits;
  return filled_words(zero_words(request), bits, (std::uint32_t{1} << (bits - 1)) - 1);
}

std::vector<std::byte> column_groups(const DialectRequest& request) {
  const BlockLayout& layout = request.codec.layout;
  std::vector<std::byte> bytes(static_cast<std::size_t>(layout.matrix.cols) * sizeof(std::int32_t));
  for (std::int64_t c = 0; c < layout.matrix.cols; ++c) {
    const auto group = static_cast<std::int32_t>(c / layout.run);
    std::memcpy(bytes.data() + c * 4, &group, sizeof group);
  }
  return bytes;
}

std::vector<StoredOutput> make_outputs(const DialectRequest& request, bool v2) {
  check(request, v2);
  const BlockLayout& layout = request.codec.layout;
  const auto [out, in] = layout.matrix;
  const int bits = request.codec.spec.bits;
  const std::string module = module_of(request.name);
  const auto info = [&](const char* leaf, DType dtype, Shape shape) {
    return TensorInfo{.name = module + leaf, .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  using Packing = PartForm::Packing;
  const auto value = v2 ? PartForm::Value::Itself : PartForm::Value::LessOne;
  const bool symmetric = request.codec.spec.mapping == Mapping::Symmetric;
  const bool grouped = layout.grid_cols > 1;
  std::vector<StoredOutput> list;
  list.push_back({.info = info(".qweight", DType::Int32, {in * bits / 32, out}),
                  .part = "codes",
                  .form = {.packing = Packing::Along, .transposed = true}});
  list.push_back({.info = info(".qzeros", DType::Int32, {layout.grid_cols, out * bits / 32}),
                  .part = symmetric ? "common_zero_point" : "zero_point",
                  .form = {.packing = Packing::Down, .value = value, .transposed = true},
                  .constant = !symmetric ? nullptr
                              : v2       ? zero_points
                                         : zero_points_less_one});
  list.push_back({.info = info(".scales", scale_dtype_of(request.codec.spec), {layout.grid_cols, out}),
                  .part = "scale",
                  .form = {.transposed = true}});
  list.push_back({.info = info(".g_idx", DType::Int32, {in}),
                  .part = grouped ? "column_groups" : "",
                  .constant = column_groups,
                  .optional = true});
  return list;
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  return make_outputs(request, false);
}

std::vector<StoredOutput> outputs_v2(const DialectRequest& request) {
  return make_outputs(request, true);
}

CodeForm form(const QuantSpec& spec) {
  return spec.is_integer() ? CodeForm::Packed : CodeForm::Bytes;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (spec.range == RangeKind::Signed) return {};
  return {"transformers", "vLLM"};
}

std::vector<std::string> loads_in_v2(const QuantSpec& spec) {
  if (spec.range == RangeKind::Signed) return {};
  return {"transformers"};
}

}  // namespace

const Dialect kGptq = {.name = "gptq",
                       .scale_dtype = scale_dtype_of_model,
                       .form = form,
                       .outputs = outputs,
                       .config = make_config,
                       .loads_in = loads_in,
                       .config_file = "quantize_config.json",
                       .recognise = gptq::recognise,
                       .joins_sets = true};

// Both versions are recognised by the first.
const Dialect kGptqV2 = {.name = "gptq_v2",
                         .scale_dtype = scale_dtype_of_model,
                         .form = form,
                         .outputs = outputs_v2,
                         .config = make_config_v2,
                         .loads_in = loads_in_v2,
                         .config_file = "quantize_config.json",
                         .joins_sets = true};

}  // namespace mq
