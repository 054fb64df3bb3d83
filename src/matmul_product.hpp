// A product with all that it needs but memory: rows that a reader gives times packed weights, band by band.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/matmul_table.hpp"
#include "mq/executor.hpp"
#include "mq/matmul.hpp"
#include "src/matmul_activations.hpp"
#include "src/matmul_run.hpp"
#include "src/quantized_rows.hpp"

namespace mq::detail {

// The table of products in use. Throws: Usage as active_table() does.
const kernels::MatmulTable& active_matmul_table();

class MatmulProduct {
 public:
  // The operands must outlive the object.
  MatmulProduct(const PackedWeights& weights, const ActivationReader& activations, std::span<const float> bias,
                std::int64_t rows, Executor& executor);
  MatmulProduct(const MatmulProduct&) = delete;
  MatmulProduct& operator=(const MatmulProduct&) = delete;

  // Rows of a band at most, and the memory that one takes.
  static constexpr std::int64_t kBandRows = MatmulRun::kBandRows;
  std::size_t workspace_bytes() const { return run_.workspace_bytes(rows_); }

  // y[count][n]: the results of rows [first, first + count).
  void run_band(std::int64_t first, std::int64_t count, std::span<std::byte> workspace, float* y);

 private:
  void add_outliers(std::int64_t first, std::int64_t count, float* y) const;

  const Outliers& outliers_;
  const ActivationReader& activations_;
  std::size_t n_;
  std::optional<QuantizedRows> kept_;
  std::int64_t rows_;
  Executor& executor_;
  MatmulRun run_;
};

}  // namespace mq::detail
