#include <algorithm>
#include <array>

#include "src/active_table.hpp"
#include "src/qparams.hpp"
#include "src/search.hpp"

namespace mq {

void PowerSearch::find(const kernels::SearchBlocks& blocks, float* scale) {
  constexpr std::array<float, kChoices> kFactors = {1.0f, 2.0f, 0.5f};
  scales_.resize(kChoices * blocks.rows);
  best_.resize(blocks.rows);
  for (std::size_t r = 0; r < blocks.rows; ++r) {
    const float middle = rule_.scale(blocks.ranges[r].lo, blocks.ranges[r].hi);
    for (std::size_t i = 0; i < kChoices; ++i) {
      scales_[i * blocks.rows + r] = std::max(middle * kFactors[i], smallest_scale(DType::Float8E8M0FNU));
    }
  }
  choose(blocks);
  for (std::size_t r = 0; r < blocks.rows; ++r) scale[r] = scales_[best_[r] * blocks.rows + r];
}

void PowerSearch::choose(const kernels::SearchBlocks& blocks) {
  if (levels_ != nullptr) {
    active_table().choose_scale(levels_->levels, blocks, scales_.data(), kChoices, best_.data());
    return;
  }
  errors_.assign(kChoices * blocks.rows, 0);
  for (std::size_t i = 0; i < kChoices; ++i) {
    add_errors(blocks, &scales_[i * blocks.rows], &errors_[i * blocks.rows]);
  }
  for (std::size_t r = 0; r < blocks.rows; ++r) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < kChoices; ++i) {
      if (errors_[i * blocks.rows + r] < errors_[best * blocks.rows + r]) best = i;
    }
    best_[r] = static_cast<std::uint8_t>(best);
  }
}

// As multiples of the square of the largest scale, so that no sum overflows.
void PowerSearch::add_errors(const kernels::SearchBlocks& blocks, const float* scales, float* errors) {
  const float* const values = reconstruction_.values(blocks, scales, nullptr);
  for (std::size_t r = 0; r < blocks.rows; ++r) {
    const float unit = 1.0f / scales_[blocks.rows + r];
    for (std::size_t i = r * blocks.run; i < (r + 1) * blocks.run; ++i) {
      const float error = (blocks.x[i] - values[i]) * unit;
      errors[r] += (blocks.weights == nullptr ? 1.0f : blocks.weights[i]) * error * error;
    }
  }
}

}  // namespace mq
