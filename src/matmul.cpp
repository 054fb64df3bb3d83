#include "mq/matmul.hpp"

#include <algorithm>
#include <string>

#include "src/float_rows.hpp"
#include "src/matmul_product.hpp"

namespace mq {
namespace {

[[noreturn]] void wrong_size(std::string what, std::int64_t expected, std::int64_t found) {
  throw Error({.code = ErrorCode::Usage,
               .message = "matmul: " + std::move(what),
               .expected = std::to_string(expected),
               .found = std::to_string(found)});
}

detail::ActivationRows rows_of(TensorView x, const PackedWeights& weights) {
  if (!is_readable_float(x.dtype)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "matmul: activations are not floats",
                 .found = std::string(to_string(x.dtype))});
  }
  if (x.shape.empty() || x.shape.back() != weights.k()) {
    wrong_size("the last dimension of the activations is not that of the weights", weights.k(),
               x.shape.empty() ? 1 : x.shape.back());
  }
  const std::int64_t rows = numel(x.shape.first(x.shape.size() - 1));
  const std::int64_t bytes = bytes_of(x.dtype, rows * weights.k());
  if (static_cast<std::int64_t>(x.bytes.size()) != bytes) {
    wrong_size("the activations' bytes are not those of their shape", bytes, static_cast<std::int64_t>(x.bytes.size()));
  }
  return {x, rows, weights.k(), weights.image().outliers.columns};
}

void require_sizes(std::int64_t rows, const PackedWeights& weights, std::span<const float> y,
                   std::span<const float> bias) {
  if (static_cast<std::int64_t>(y.size()) != rows * weights.n()) {
    wrong_size("the elements of y are not rows times n", rows * weights.n(), static_cast<std::int64_t>(y.size()));
  }
  if (!bias.empty() && static_cast<std::int64_t>(bias.size()) != weights.n()) {
    wrong_size("the elements of the bias are not n", weights.n(), static_cast<std::int64_t>(bias.size()));
  }
}

// Sums of nothing.
void fill_with_bias(std::span<float> y, std::span<const float> bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = bias.empty() ? 0.0f : bias[i % bias.size()];
}

}  // namespace

std::span<std::byte> MatmulWorkspace::reserve(std::size_t size_bytes) {
  if (memory_.size() < size_bytes) memory_ = Buffer(size_bytes);
  return memory_.span();
}

void matmul(TensorView activations, const PackedWeights& weights, std::span<float> y, const MatmulOptions& options) {
  const detail::ActivationRows x = rows_of(activations, weights);
  require_sizes(x.rows, weights, y, options.bias);
  std::optional<detail::ActivationQuantizer> quantizer;
  if (options.activations) quantizer.emplace(*options.activations);
  if (y.empty()) return;
  if (x.k == 0) return fill_with_bias(y, options.bias);

  detail::ActivationReader reader(x, quantizer ? &*quantizer : nullptr);
  Executor& executor = options.executor != nullptr ? *options.executor : serial_executor();
  detail::MatmulProduct product(weights, reader, options.bias, x.rows, executor);

  MatmulWorkspace own;
  MatmulWorkspace& workspace = options.workspace != nullptr ? *options.workspace : own;
  const std::span<std::byte> memory = workspace.reserve(product.workspace_bytes());
  reader.share_params(reinterpret_cast<float*>(memory.data()));
  for (std::int64_t first = 0; first < x.rows; first += detail::MatmulProduct::kBandRows) {
    const std::int64_t rows = std::min(detail::MatmulProduct::kBandRows, x.rows - first);
    product.run_band(first, rows, memory, y.data() + first * weights.n());
  }
}

Tensor matmul(TensorView activations, const QuantizedTensor& weights, const MatmulOptions& options) {
  const PackedWeights packed = pack_for_matmul(weights);
  Shape shape(activations.shape.begin(), activations.shape.end());
  if (!shape.empty()) shape[shape.size() - 1] = packed.n();
  Buffer y(static_cast<std::size_t>(bytes_of(DType::Float32, numel(shape))));
  matmul(activations, packed, {y.as<float>(), y.size() / sizeof(float)}, options);
  return Tensor(DType::Float32, std::move(shape), std::move(y));
}

std::string_view active_matmul_isa() {
  return detail::active_matmul_table().name;
}

}  // namespace mq
