#include "src/matmul_product.hpp"

#include <vector>

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
    std::vector<float> x(outliers_.columns.size());
    activations_.outliers(first + r, x.data());
    float* const row = y + static_cast<std::size_t>(r) * n_;
    for (std::size_t j = 0; j < x.size(); ++j) {
      const float* const weights = outliers_.weights + j * n_;
      for (std::size_t i = 0; i < n_; ++i) row[i] += x[j] * weights[i];
    }
  });
}

}  // namespace mq::detail
