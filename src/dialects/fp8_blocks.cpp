#include "src/dialects/fp8_blocks.hpp"

#include "src/dialects/module_weights.hpp"

namespace mq {
namespace {

constexpr std::string_view kScales = "_scale_inv";

const PerBlock* blocks_of(const QuantSpec& spec) {
  return spec.codec == "fp8" && spec.element == DType::Float8E4M3FN ? std::get_if<PerBlock>(&spec.granularity)
                                                                    : nullptr;
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  constexpr const char* kLayout = "FP8 with weight_scale_inv";
  if (blocks_of(request.codec.spec) == nullptr) refuse(request, kLayout, "fp8_e4m3 in blocks", "use fp8_e4m3:b128x128");
  require_matrix_of_module(request, kLayout);
  const BlockLayout& layout = request.codec.layout;
  return {{.info = {.name = request.name, .dtype = DType::Float8E4M3FN, .shape = request.shape, .file = request.file},
           .part = "codes"},
          {.info = {.name = request.name + std::string(kScales),
                    .dtype = request.codec.spec.scale_dtype.value_or(DType::Float32),
                    .shape = {layout.grid_rows, layout.grid_cols},
                    .file = request.file},
           .part = "scale"}};
}

DType scale_dtype(const QuantSpec&, DType) {
  return DType::Float32;
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

// Scales do not tell the type of the weights.
bool is_standard(const Step& step, DType original) {
  return original == DType::BFloat16 && step.transforms.empty();
}

json::Value config(const Plan& plan) {
  const Step* const first = first_of_alike(
      plan, "this layout has one size of blocks for all weights",
      [](const QuantSpec& a, const QuantSpec& b) { return a.granularity == b.granularity; },
      [](const QuantSpec& spec) { return to_string(spec.granularity); });
  if (first == nullptr) return nullptr;
  const PerBlock& block = *blocks_of(*first->spec);
  json::Array kept;
  for (std::string& module : kept_modules(plan)) kept.emplace_back(std::move(module));
  json::Value config;
  config.set("quant_method", "fp8");
  config.set("activation_scheme", "dynamic");
  config.set("weight_block_size", json::Array{block.rows, block.cols});
  config.set("modules_to_not_convert", kept.empty() ? json::Value() : json::Value(std::move(kept)));
  add_notes(config, plan, is_standard);
  return config;
}

std::vector<std::string> loads_in(const QuantSpec& spec) {
  if (spec.granularity == Granularity(PerBlock{128, 128})) return {"transformers", "vLLM"};
  return {};
}

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config) : DialectReader(checkpoint, config) {
    const json::Value* size = config.find("weight_block_size");
    const json::Array* sides = size ? size->as_array() : nullptr;
    const bool two = sides && sides->size() == 2 && (*sides)[0].as_int() && (*sides)[1].as_int();
    if (two) block_ = {*(*sides)[0].as_int(), *(*sides)[1].as_int()};
    if (two && block_.rows > 0 && block_.cols > 0) return;
    unsupported("", "quantization config: FP8 of a kind that is not read", "weight_block_size of two numbers",
                text_of(size));
  }

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const TensorInfo& scales : checkpoint().tensors()) {
      if (!scales.name.ends_with(kScales)) continue;
      const std::string name = scales.name.substr(0, scales.name.size() - kScales.size());
      if (!is_scale_type(scales.dtype)) {
        unsupported(scales.name, "type of scales", "float32, float16 or bfloat16",
                    std::string(to_string(scales.dtype)));
      }
      WeightClaim claim{
          .name = name, .shape = require(name).shape, .spec = parse_spec("fp8_e4m3"), .original = DType::BFloat16};
      claim.spec.granularity = block_;
      apply_notes(claim);
      claim.spec.scale_dtype = scales.dtype;
      found.push_back(assemble(kFp8Blocks, claim));
    }
    if (found.empty()) corrupt("", "the quantization config says FP8", "tensors called NAME_scale_inv", "none");
    return found;
  }

 private:
  PerBlock block_;
};

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  if (config.is_null() || string_member(config, "quant_method") != "fp8") return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace

const Dialect kFp8Blocks = {.name = "fp8_blocks",
                            .scale_dtype = scale_dtype,
                            .form = form,
                            .outputs = outputs,
                            .config = config,
                            .loads_in = loads_in,
                            .recognise = recognise};

}  // namespace mq
