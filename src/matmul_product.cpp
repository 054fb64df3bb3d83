#include "src/matmul_product.hpp"

#include "kernels/dispatch.hpp"
#include "src/active_table.hpp"

namespace mq::detail {
namespace {

std::optional<QuantizedRows> kept_rows(const PackedImage& image) {
  if (!image.kept) return std::nullopt;
  return std::optional<QuantizedRows>(std::in_place, *image.kept);
}

}  // namespace

const kernels::MatmulTable& active_matmul_table() {
  active_table();
  return *kernels::active_matmul_kernels();
}

MatmulProduct::MatmulProduct(const PackedWeights& weights, const ActivationReader& activations,
                             std::span<const float> bias, std::int64_t rows, Executor& executor)
    : outliers_(weights.image().outliers),
      activations_(activations),
      n_(static_cast<std::size_t>(weights.n())),
      kept_(kept_rows(weights.image())),
      rows_(rows),
      executor_(executor),
      run_(active_matmul_table(), weights.image(), kept_ ? &*kept_ : nullptr, activations, bias, rows,
           executor.concurrency()) {}

void MatmulProduct::run_band(std::int64_t first, std::int64_t count, std::span<std::byte> workspace, float* y) {
  run_.run_band(first, count, workspace, y, executor_);
  if (!outliers_.columns.empty()) add_outliers(first, count, y);
}

void MatmulProduct::add_outliers(std::int64_t first, std::int64_t count, float* y) const {
  executor_.parallel_for(count, [&](std::int64_t r) {
    float* const row = y + static_cast<std::size_t>(r) * n_;
    const float* weights = outliers_.weights;
    for (const std::int32_t column : outliers_.columns) {
      const float x = activations_.element(first + r, column);
      for (std::size_t i = 0; i < n_; ++i) row[i] += x * weights[i];
      weights += n_;
    }
  });
}

}  // namespace mq::detail
