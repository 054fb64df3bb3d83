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
    : kept_(kept_rows(weights.image())),
      rows_(rows),
      executor_(executor),
      run_(active_matmul_table(), weights.image(), kept_ ? &*kept_ : nullptr, activations, bias, rows,
           executor.concurrency()) {}

void MatmulProduct::run_band(std::int64_t first, std::int64_t count, std::span<std::byte> workspace, float* y) {
  run_.run_band(first, count, workspace, y, executor_);
}

}  // namespace mq::detail
