#include "mq/quantized_linear.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "src/carver.hpp"
#include "src/matmul_product.hpp"
#include "src/module_parts.hpp"
#include "src/module_setup.hpp"
#include "src/output_stage.hpp"

namespace mq {
namespace {

constexpr std::string_view kModule = "QuantizedLinear";

const QuantizedTensor& require_matrix(const QuantizedTensor& weights) {
  if (weights.shape().size() == 2 && numel(weights.shape()) > 0) return weights;
  detail::refuse(kModule, "the shape of the weights", "[out, in]", to_string(weights.shape()));
}

ModuleOptions options_for(const QuantizedTensor& weights, ModuleOptions options) {
  return detail::checked_options(std::move(options), &weights.spec(), require_matrix(weights).shape()[0], kModule);
}

std::int64_t count_rows(std::int64_t inputs, std::int64_t outputs, const QuantizedLinear& linear) {
  const std::int64_t rows = inputs / linear.in_features();
  if (inputs % linear.in_features() != 0) {
    detail::refuse(kModule, "the elements of x", "a multiple of " + std::to_string(linear.in_features()),
                   std::to_string(inputs));
  }
  if (outputs != rows * linear.out_features()) {
    detail::refuse(kModule, "the elements of y",
                   std::to_string(rows) + " rows of " + std::to_string(linear.out_features()), std::to_string(outputs));
  }
  return rows;
}

// Calls f(first, count) for pieces of n elements.
template <class F>
void for_each_piece(std::size_t n, Executor& executor, F&& f) {
  constexpr std::size_t kPiece = std::size_t{1} << 14;
  executor.parallel_for(static_cast<std::int64_t>((n + kPiece - 1) / kPiece), [&](std::int64_t i) {
    const std::size_t first = static_cast<std::size_t>(i) * kPiece;
    f(first, std::min(kPiece, n - first));
  });
}

}  // namespace

QuantizedLinear::QuantizedLinear(const QuantizedTensor& weights, ModuleOptions options)
    : weights_(pack_for_matmul(require_matrix(weights))), options_(options_for(weights, std::move(options))) {}

QuantizedLinear::QuantizedLinear(PackedWeights weights, ModuleOptions options)
    : weights_(std::move(weights)),
      options_(detail::checked_options(std::move(options), nullptr, weights_.n(), kModule)) {
  if (weights_.n() > 0 && weights_.k() > 0) return;
  detail::refuse(kModule, "the packed weights", "at least one output and one input",
                 std::to_string(weights_.n()) + " and " + std::to_string(weights_.k()));
}

QuantizedLinear::QuantizedLinear(TensorView weights, const QuantSpec& spec, ModuleOptions options)
    : QuantizedLinear(quantize(weights, spec), std::move(options)) {}

QuantizedLinear QuantizedLinear::load(const Checkpoint& checkpoint, std::string_view name, ModuleOptions options) {
  const detail::ModuleParts parts = detail::load_module(checkpoint, name, std::move(options));
  return QuantizedLinear(parts.weights, parts.options);
}

void QuantizedLinear::forward(ModuleInput x, ModuleOutput y, const ForwardOptions& how) const {
  detail::require_code_support(x, y, options_, kModule);
  const std::int64_t rows = count_rows(detail::size_of(x), detail::size_of(y), *this);
  if (rows == 0) return;
  const std::optional<detail::ActivationQuantizer> quantizer = detail::input_quantizer(activations());
  detail::ActivationRows inputs = detail::rows_of(x, rows, in_features());
  inputs.outliers = weights_.image().outliers.columns;
  detail::ActivationReader reader(inputs, quantizer ? &*quantizer : nullptr, detail::fixed_params(activations()));
  Executor& executor = how.executor != nullptr ? *how.executor : serial_executor();
  detail::MatmulProduct product(weights_, reader, options_.bias, rows, executor);
  const detail::OutputStage stage(options_);

  constexpr std::int64_t kBandRows = detail::MatmulProduct::kBandRows;
  auto* const floats = std::get_if<std::span<float>>(&y);
  const auto band_numel = static_cast<std::size_t>(std::min(kBandRows, rows) * out_features());
  MatmulWorkspace own;
  detail::Carver size;
  size.take<std::byte>(product.workspace_bytes());
  size.take<float>(floats == nullptr ? band_numel : 0);
  detail::Carver memory((how.workspace != nullptr ? *how.workspace : own).reserve(size.used()).data());
  const std::span<std::byte> scratch(memory.take<std::byte>(product.workspace_bytes()), product.workspace_bytes());
  float* const band = memory.take<float>(band_numel);

  reader.share_params(reinterpret_cast<float*>(scratch.data()));
  for (std::int64_t first = 0; first < rows; first += kBandRows) {
    const std::int64_t count = std::min(kBandRows, rows - first);
    const auto at = static_cast<std::size_t>(first * out_features());
    const auto n = static_cast<std::size_t>(count * out_features());
    float* const results = floats != nullptr ? floats->data() + at : band;
    product.run_band(first, count, scratch, results);
    if (floats == nullptr) {
      std::uint8_t* const codes = std::get<std::span<std::uint8_t>>(y).data() + at;
      for_each_piece(n, executor, [&](std::size_t begin, std::size_t size_of_piece) {
        stage.finish(results + begin, size_of_piece, codes + begin);
      });
    } else if (stage.changes_floats()) {
      for_each_piece(n, executor, [&](std::size_t begin, std::size_t size_of_piece) {
        stage.finish(results + begin, size_of_piece);
      });
    }
  }
}

}  // namespace mq
