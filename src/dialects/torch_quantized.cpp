#include "src/dialects/torch_quantized.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

#include "src/pool.hpp"

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

}  // namespace

const Dialect kTorchQuantized = {.name = "torch_quantized",
                                 .scale_dtype = nullptr,
                                 .form = nullptr,
                                 .outputs = nullptr,
                                 .config = nullptr,
                                 .loads_in = nullptr,
                                 .recognise = recognise};

}  // namespace mq
