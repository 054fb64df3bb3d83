// Finding the quantized weights of a GPTQ checkpoint, ours or another tool's.
#include <regex>

#include "src/dialects/gptq.hpp"
#include "src/dialects/module_weights.hpp"
#include "src/text_match.hpp"

namespace mq::gptq {
namespace {

constexpr std::string_view kCodes = ".qweight";

class Finder : DialectReader {
 public:
  Finder(const Checkpoint& checkpoint, const json::Value& config) : DialectReader(checkpoint, config), config_(config) {
    const std::string format = string_member(config, "checkpoint_format").value_or("gptq");
    if (format != "gptq" && format != "gptq_v2") {
      unsupported("", "quantization config: a layout that is not read", "checkpoint_format gptq or gptq_v2", format);
    }
    v2_ = format == "gptq_v2";
    const json::Value* dynamic = config.find("dynamic");
    if (dynamic == nullptr || dynamic->as_object() == nullptr) return;
    for (const auto& [pattern, entry] : *dynamic->as_object()) {
      const bool marked = pattern.starts_with("+:") || pattern.starts_with("-:");
      if (pattern.starts_with("-:")) continue;  // skipped modules have no codes
      exceptions_.emplace_back(compile_regex(marked ? pattern.substr(2) : pattern), &entry);
    }
  }

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    for (const TensorInfo& tensor : checkpoint().tensors()) {
      if (!tensor.name.ends_with(kCodes)) continue;
      found.push_back(weight(tensor, tensor.name.substr(0, tensor.name.size() - kCodes.size())));
    }
    if (found.empty()) corrupt("", "the quantization config says GPTQ", "tensors called NAME.qweight", "none");
    return found;
  }

 private:
  // The member of the exception for this module, if there is one, else of the config.
  const json::Value& settings(const std::string& module, std::string_view key) const {
    for (const auto& [pattern, entry] : exceptions_) {
      if (entry->find(key) && std::regex_search(module, pattern, std::regex_constants::match_continuous)) return *entry;
    }
    return config_;
  }

  LogicalTensor weight(const TensorInfo& codes, const std::string& module) {
    const std::int64_t bits = int_member(settings(module, "bits"), "bits").value_or(0);
    const std::int64_t group = int_member(settings(module, "group_size"), "group_size").value_or(-1);
    const bool symmetric = bool_member(settings(module, "sym"), "sym").value_or(true);
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
      unsupported(codes.name, "a number of bits that is not read", "2, 3, 4 or 8", std::to_string(bits));
    }
    if (codes.dtype != DType::Int32 || codes.shape.size() != 2 || codes.numel() == 0) {
      corrupt(codes.name, "bad type or shape of codes", "int32 [in * bits / 32, out]",
              std::string(to_string(codes.dtype)) + " " + to_string(codes.shape));
    }
    const std::int64_t in = codes.shape[0] * 32 / bits;
    const TensorInfo& scales = require(module + ".scales");
    if (!is_scale_type(scales.dtype)) {
      corrupt(scales.name, "bad type of scales", "float32, float16 or bfloat16", std::string(to_string(scales.dtype)));
    }
    const bool one_group = group <= 0 || group >= in;
    if (!one_group && in % group != 0) {
      unsupported(codes.name, "a last group that is shorter than the others",
                  "a group size that divides " + std::to_string(in), std::to_string(group));
    }
    WeightClaim claim{.name = module + ".weight", .shape = {codes.shape[1], in}, .original = scales.dtype};
    claim.spec.bits = static_cast<int>(bits);
    claim.spec.granularity = one_group ? Granularity(PerChannel{}) : Granularity(PerGroup{group});
    claim.spec.mapping = symmetric ? Mapping::Symmetric : Mapping::Asymmetric;
    // Files do not say how a scale was found: this range covers every code.
    claim.spec.range = symmetric ? RangeKind::Full : RangeKind::Narrow;
    apply_notes(claim);
    claim.spec.scale_dtype = scales.dtype;
    return assemble(v2_ ? kGptqV2 : kGptq, claim);
  }

  const json::Value& config_;
  bool v2_ = false;
  std::vector<std::pair<std::regex, const json::Value*>> exceptions_;
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  if (config.is_null() || string_member(config, "quant_method") != "gptq") return std::nullopt;
  return Finder(checkpoint, config).all();
}

}  // namespace mq::gptq
