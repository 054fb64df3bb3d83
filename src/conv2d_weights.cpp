#include "src/conv2d_weights.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "kernels/matmul_table.hpp"
#include "src/module_setup.hpp"
#include "src/quantized_rows.hpp"

namespace mq::detail {
namespace {

constexpr std::string_view kModule = "QuantizedConv2d";
// Panels of so few columns would be padding for the most part.
constexpr std::int64_t kDirectOutputs = 3;

void require_shape(const QuantizedTensor& weights, std::int64_t groups) {
  const Shape& shape = weights.shape();
  if (shape.size() != 4 || numel(shape) == 0) {
    refuse(kModule, "the shape of the weights", "[out, in / groups, height, width]", to_string(shape));
  }
  if (weights.spec().outliers > 0) {
    refuse(kModule, "the encoding of the weights", "one without outlier columns", to_string(weights.spec()));
  }
  if (groups < 1 || shape[0] % groups != 0) {
    refuse(kModule, "groups", "a divisor of the " + std::to_string(shape[0]) + " outputs", std::to_string(groups));
  }
}

Tensor rows_of_part(const Tensor& part, std::int64_t rows, std::int64_t first, std::int64_t count, Shape shape) {
  const std::size_t row_bytes = part.bytes().size() / static_cast<std::size_t>(rows);
  Buffer bytes(row_bytes * static_cast<std::size_t>(count));
  std::memcpy(bytes.data(), part.bytes().data() + row_bytes * static_cast<std::size_t>(first), bytes.size());
  return {part.dtype(), std::move(shape), std::move(bytes)};
}

// Outputs [first, first + count) as a tensor of their own: parts with a row for each output are cut, parts with one row
// belong to all.
QuantizedTensor cut_outputs(const QuantizedTensor& weights, std::int64_t first, std::int64_t count) {
  const std::int64_t out = weights.shape()[0];
  const auto* channel = std::get_if<PerChannel>(&weights.spec().granularity);
  const bool along_rows = channel == nullptr || channel->axis == 0;
  Shape shape = weights.shape();
  shape[0] = count;
  std::vector<QuantizedTensor::Part> parts;
  for (const QuantizedTensor::Part& part : weights.parts()) {
    const bool codes = part.name == "codes";
    const std::int64_t rows = codes ? out : part.tensor.shape().empty() ? 1 : part.tensor.shape()[0];
    if (weights.spec().double_quant || !along_rows || (rows != out && rows != 1)) {
      refuse(kModule, "weights of several groups",
             "scales that belong to the tensor, to output channels, or to groups of a row", to_string(weights.spec()));
    }
    if (rows == 1) {
      parts.push_back(part);
      continue;
    }
    Shape own = codes ? shape : part.tensor.shape();
    own[0] = count;
    parts.push_back({part.name, rows_of_part(part.tensor, out, first, count, std::move(own))});
  }
  return {weights.spec(), std::move(shape), std::move(parts)};
}

bool sums_directly(const QuantizedTensor& weights, const BlockLayout& layout, std::int64_t groups) {
  const MatrixShape& matrix = layout.matrix;
  return weights.spec().is_integer() && layout.run >= matrix.cols &&
         matrix.cols <= static_cast<std::int64_t>(kernels::kMaxBlock) && matrix.rows / groups <= kDirectOutputs;
}

DirectWeights direct_weights(const QuantizedTensor& weights, const BlockLayout& layout) {
  DirectWeights direct;
  const QParams params = weights.qparams();
  const bool is_signed = weights.spec().element == DType::Int8;
  const auto bytes = weights.codes().bytes();
  direct.codes.reserve(bytes.size());
  for (std::int64_t r = 0; r < layout.matrix.rows; ++r) {
    const auto block = static_cast<std::size_t>(layout.block_of(r, 0));
    const std::int32_t zero = params.zero_points.empty() ? 0 : params.zero_points[block];
    direct.scales.push_back(params.scales[block]);
    for (std::int64_t c = 0; c < layout.matrix.cols; ++c) {
      const auto code = static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(r * layout.matrix.cols + c)]);
      const std::int32_t q = is_signed ? static_cast<std::int8_t>(code) : code;
      direct.codes.push_back(static_cast<std::int16_t>(q - zero));
    }
  }
  return direct;
}

}  // namespace

Conv2dWeights prepare_conv2d(const QuantizedTensor& weights, std::int64_t groups) {
  require_shape(weights, groups);
  const Shape& shape = weights.shape();
  Conv2dWeights prepared = {
      .out = shape[0], .in_per_group = shape[1], .kernel_height = shape[2], .kernel_width = shape[3], .groups = groups};
  const BlockLayout layout = QuantizedRows(weights).layout();
  if (sums_directly(weights, layout, groups)) {
    prepared.direct = direct_weights(weights, layout);
    return prepared;
  }
  if (groups == 1) {
    prepared.packed.push_back(pack_for_matmul(weights));
    return prepared;
  }
  const std::int64_t count = prepared.out_per_group();
  for (std::int64_t g = 0; g < groups; ++g) {
    prepared.packed.push_back(pack_for_matmul(cut_outputs(weights, g * count, count)));
  }
  return prepared;
}

}  // namespace mq::detail
