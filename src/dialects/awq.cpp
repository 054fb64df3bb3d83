#include "src/dialects/awq.hpp"

#include <algorithm>

#include "mq/version.hpp"
#include "src/dialects/module_weights.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr const char* kLayout = "AWQ";

constexpr PartForm kPackedColumns{
    .packing = PartForm::Packing::Down, .fields = PartForm::Fields::Interleaved, .transposed = true};

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  if (!spec.is_integer() || spec.bits != 4) refuse(request, kLayout, "integers of 4 bits", "use int4");
  require_matrix_of_module(request, kLayout);
  if (spec.activation) refuse(request, kLayout, "weights alone: activations stay floats", "drop the activation");
  if (!is_grouped_along_rows(spec)) refuse(request, kLayout, "groups or channels", "use :gN or :channel");
  if (request.codec.layout.matrix.rows % 8 == 0 && request.codec.layout.matrix.numel() > 0) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "AWQ packs 8 rows into a word",
               .tensor = request.name,
               .expected = "rows that are multiples of 8",
               .found = to_string(request.shape),
               .hint = "keep it with --exclude"});
}

std::vector<std::byte> zero_points(const DialectRequest& request) {
  const BlockLayout& layout = request.codec.layout;
  return std::vector<std::byte>(static_cast<std::size_t>(layout.grid_cols * (layout.matrix.rows / 2)), std::byte{0x88});
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const BlockLayout& layout = request.codec.layout;
  const auto [out, in] = layout.matrix;
  const std::string module = module_of(request.name);
  const auto info = [&](const char* leaf, DType dtype, Shape shape) {
    return TensorInfo{.name = module + leaf, .dtype = dtype, .shape = std::move(shape), .file = request.file};
  };
  const bool symmetric = request.codec.spec.mapping == Mapping::Symmetric;
  return {{.info = info(".qweight", DType::Int32, {in, out / 8}), .part = "codes", .form = kPackedColumns},
          {.info = info(".qzeros", DType::Int32, {layout.grid_cols, out / 8}),
           .part = symmetric ? "common_zero_point" : "zero_point",
           .form = kPackedColumns,
           .constant = symmetric ? zero_points : nullptr},
          {.info = info(".scales", scale_dtype_of(request.codec.spec), {layout.grid_cols, out}),
           .part = "scale",
           .form = {.transposed = true}}};
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

bool is_standard(const Step& step, DType original) {
  return step.spec->element == DType::Int8 && step.spec->mapping == Mapping::Asymmetric && step.transforms.empty() &&
         step.spec->scale_dtype == original;
}

json::Value config(const Plan& plan) {
  const Step* const first = first_of_alike(
      plan, "AWQ has one group size for all weights",
      [](const QuantSpec& a, const QuantSpec& b) { return group_size_of(a) == group_size_of(b); },
      [](const QuantSpec& spec) { return to_string(spec.granularity); });
  if (first == nullptr) return nullptr;
  json::Array kept = kept_but_head(plan);
  json::Value config;
  config.set("quant_method", "awq");
  config.set("bits", 4);
  config.set("group_size", group_size_of(*first->spec));
  config.set("zero_point", true);
  config.set("version", "gemm");
  config.set("modules_to_not_convert", kept.empty() ? json::Value() : json::Value(std::move(kept)));
  add_notes(config, plan, is_standard);
  return config;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (spec.range == RangeKind::Signed) return {};
  return {"transformers", "vLLM"};
}

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config) : DialectReader(checkpoint, config) {
    // Older files say w_bit and q_group_size.
    const auto number = [&](const char* key, const char* old, std::int64_t otherwise) {
      return int_member(config, key).value_or(int_member(config, old).value_or(otherwise));
    };
    const std::int64_t bits = number("bits", "w_bit", 4);
    group_size_ = number("group_size", "q_group_size", 128);
    std::string version = string_member(config, "version").value_or("gemm");
    std::ranges::transform(version, version.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    if (bits != 4 || version != "gemm") {
      unsupported("", "quantization config: a layout of AWQ that is not read", "4 bits, version gemm",
                  std::to_string(bits) + " bits, version " + version);
    }
  }

  std::vector<LogicalTensor> all() {
    constexpr std::string_view kCodes = ".qweight";
    std::vector<LogicalTensor> found;
    for (const TensorInfo& tensor : checkpoint().tensors()) {
      if (!tensor.name.ends_with(kCodes)) continue;
      found.push_back(weight(tensor, tensor.name.substr(0, tensor.name.size() - kCodes.size())));
    }
    if (found.empty()) corrupt("", "the quantization config says AWQ", "tensors called NAME.qweight", "none");
    return found;
  }

 private:
  LogicalTensor weight(const TensorInfo& codes, const std::string& module) {
    if (codes.dtype != DType::Int32 || codes.shape.size() != 2 || codes.numel() == 0) {
      corrupt(codes.name, "bad type or shape of codes", "int32 [in, out / 8]",
              std::string(to_string(codes.dtype)) + " " + to_string(codes.shape));
    }
    const std::int64_t in = codes.shape[0];
    const TensorInfo& scales = require(module + ".scales");
    if (!is_scale_type(scales.dtype)) {
      corrupt(scales.name, "bad type of scales", "float32, float16 or bfloat16", std::string(to_string(scales.dtype)));
    }
    WeightClaim claim{.name = module + ".weight", .shape = {codes.shape[1] * 8, in}, .original = scales.dtype};
    claim.spec.bits = 4;
    const bool one_group = group_size_ <= 0 || group_size_ >= in;
    claim.spec.granularity = one_group ? Granularity(PerChannel{}) : Granularity(PerGroup{group_size_});
    claim.spec.mapping = Mapping::Asymmetric;
    apply_notes(claim);
    claim.spec.scale_dtype = scales.dtype;
    return assemble(kAwq, claim);
  }

  std::int64_t group_size_ = 128;
};

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  if (config.is_null() || string_member(config, "quant_method") != "awq") return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace

const Dialect kAwq = {.name = "awq",
                      .scale_dtype = scale_dtype_of_model,
                      .form = form,
                      .outputs = outputs,
                      .config = config,
                      .loads_in = loads_in,
                      .config_file = "quant_config.json",
                      .recognise = recognise};

}  // namespace mq
