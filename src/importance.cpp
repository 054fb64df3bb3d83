#include <algorithm>
#include <cmath>
#include <string>

#include "mq/convert.hpp"
#include "src/float_rows.hpp"

namespace mq {
namespace {

// The weight whose input columns a tensor of statistics describes; empty: none.
std::string weight_of(const std::string& name) {
  for (const std::string_view suffix : {".in_sq_mean", ".in_sum2"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string base = name.substr(0, name.size() - suffix.size());
    return base.ends_with(".weight") ? base : base + ".weight";
  }
  return name.ends_with(".counts") ? std::string() : name;
}

std::vector<float> read_floats(const Checkpoint& checkpoint, std::size_t index) {
  const Tensor tensor = checkpoint.read(index);
  const std::int64_t n = numel(tensor.shape());
  std::vector<float> values(static_cast<std::size_t>(n));
  if (tensor.dtype() == DType::Int32) {
    std::ranges::transform(tensor.as<std::int32_t>(), values.begin(), [](auto v) { return static_cast<float>(v); });
  } else {
    widen(tensor.dtype(), tensor.bytes().data(), n, values.data());
  }
  return values;
}

// Sums over tokens become means, matrix by matrix of a stack of experts. Without a token, every column of a matrix
// counts as much as any other; only llama.cpp's first files, whose counts are whole numbers, have means there already.
// Throws: Corrupt.
void divide_by_count(const Checkpoint& statistics, const std::string& name, std::vector<float>& sums) {
  const std::string counts_name = name.substr(0, name.rfind('.')) + ".counts";
  const std::optional<std::size_t> index = statistics.find(counts_name);
  const std::vector<float> counts = index ? read_floats(statistics, *index) : std::vector<float>();
  if (counts.empty() || sums.size() % counts.size() != 0) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "sums of squares without the number of tokens they are over",
                 .file = statistics.path().string(),
                 .tensor = name,
                 .expected = counts_name + " with one number for each matrix",
                 .found = index ? std::to_string(counts.size()) + " numbers" : "none"});
  }
  const bool whole = statistics.tensors()[*index].dtype == DType::Int32;
  const std::size_t width = sums.size() / counts.size();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const float count = counts[i / width];
    if (count > 0) {
      sums[i] /= count;
    } else if (!whole) {
      sums[i] = 1;
    }
  }
}

[[noreturn]] void refuse(const Checkpoint& statistics, const TensorInfo& info, const char* what, const char* expected,
                         std::string found) {
  throw Error({.code = ErrorCode::Usage,
               .message = what,
               .file = statistics.path().string(),
               .tensor = info.name,
               .expected = expected,
               .found = std::move(found)});
}

}  // namespace

void add_importance(Analysis& analysis, const Checkpoint& statistics) {
  const std::span<const TensorInfo> tensors = statistics.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = tensors[i];
    std::string weight = weight_of(info.name);
    if (weight.empty()) continue;
    if (!is_readable_float(info.dtype)) {
      refuse(statistics, info, "is no importance", "a float type", std::string(to_string(info.dtype)));
    }
    std::vector<float> values = read_floats(statistics, i);
    if (info.name.ends_with(".in_sum2")) divide_by_count(statistics, info.name, values);
    analysis.importance.insert_or_assign(std::move(weight),
                                         std::make_shared<const std::vector<float>>(std::move(values)));
  }
}

void add_sensitivity(Analysis& analysis, const Checkpoint& statistics) {
  constexpr const char* kWhat = "is no sensitivity";
  const std::span<const TensorInfo> tensors = statistics.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = tensors[i];
    if (!is_readable_float(info.dtype) || info.numel() != 1) {
      refuse(statistics, info, kWhat, "one number of a float type",
             std::string(to_string(info.dtype)) + " " + to_string(info.shape));
    }
    const double value = static_cast<double>(read_floats(statistics, i).front());
    if (!(value >= 0) || !std::isfinite(value)) refuse(statistics, info, kWhat, "0 or more", std::to_string(value));
    analysis.sensitivity.insert_or_assign(info.name.str(), value);
  }
}

}  // namespace mq
