#include "src/output_stage.hpp"

#include <algorithm>
#include <array>

#include "src/active_table.hpp"

namespace mq::detail {

OutputStage::OutputStage(const ModuleOptions& options) : relu_(options.relu) {
  const auto* fixed = std::get_if<StaticActivations>(&*options.activations);
  if (fixed == nullptr || !fixed->output) return;
  has_codes_ = true;
  scale_ = fixed->output->scale;
  zero_point_ = static_cast<float>(fixed->output->zero_point);
  // Codes below the zero point are the values below 0.
  least_ = relu_ ? zero_point_ : 0;
}

void OutputStage::finish(const float* y, std::size_t n, std::uint8_t* codes) const {
  const float inverse = 1.0f / scale_;
  active_table().quantize_8(y, 1, n, &inverse, &zero_point_, least_, 255, codes);
}

void OutputStage::finish(float* y, std::size_t n) const {
  if (!has_codes_) {
    for (std::size_t i = 0; relu_ && i < n; ++i) y[i] = std::max(y[i], 0.0f);
    return;
  }
  std::array<std::uint8_t, 4096> codes;
  for (std::size_t first = 0; first < n; first += codes.size()) {
    const std::size_t count = std::min(codes.size(), n - first);
    finish(y + first, count, codes.data());
    active_table().dequantize_u8(codes.data(), 1, count, &scale_, &zero_point_, y + first);
  }
}

}  // namespace mq::detail
