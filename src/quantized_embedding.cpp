#include "mq/quantized_embedding.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "src/float_rows.hpp"
#include "src/module_parts.hpp"
#include "src/module_setup.hpp"
#include "src/quantized_rows.hpp"

namespace mq {
namespace detail {

class EmbeddingRows {
 public:
  virtual ~EmbeddingRows() = default;
  virtual void decode(std::int64_t row, float* y) const = 0;

  std::int64_t rows = 0;
  std::int64_t dim = 0;
};

}  // namespace detail

namespace {

constexpr std::string_view kModule = "QuantizedEmbedding";

void require_table(const Shape& shape) {
  if (shape.size() == 2) return;
  detail::refuse(kModule, "the shape of the weights", "[rows, dim]", to_string(shape));
}

// Rows of any encoding of the library.
class EncodedRows final : public detail::EmbeddingRows {
 public:
  explicit EncodedRows(QuantizedTensor weights) : weights_(std::move(weights)), decoder_(weights_) {
    rows = weights_.shape()[0];
    dim = weights_.shape()[1];
  }
  void decode(std::int64_t row, float* y) const override { decoder_.decode(row, 1, y); }

 private:
  QuantizedTensor weights_;
  QuantizedRows decoder_;
};

// One number of a float type for each row.
std::vector<float> numbers_of(const Tensor& tensor, std::int64_t rows, const char* what) {
  if (!is_readable_float(tensor.dtype()) || numel(tensor.shape()) != rows) {
    detail::refuse(kModule, what, "a float for each of " + std::to_string(rows) + " rows",
                   std::string(to_string(tensor.dtype())) + " " + to_string(tensor.shape()));
  }
  std::vector<float> numbers(static_cast<std::size_t>(rows));
  widen(tensor.dtype(), tensor.bytes().data(), rows, numbers.data());
  return numbers;
}

// Rows of bytes with a scale and a zero point that is a float.
class FloatZeroRows final : public detail::EmbeddingRows {
 public:
  FloatZeroRows(Tensor codes, const Tensor& scales, const Tensor& zero_points) : codes_(std::move(codes)) {
    require_table(codes_.shape());
    if (codes_.dtype() != DType::UInt8) {
      detail::refuse(kModule, "the codes", "uint8", std::string(to_string(codes_.dtype())));
    }
    rows = codes_.shape()[0];
    dim = codes_.shape()[1];
    scales_ = numbers_of(scales, rows, "the scales");
    const std::vector<float> zeros = numbers_of(zero_points, rows, "the zero points");
    for (std::size_t r = 0; r < zeros.size(); ++r) offsets_.push_back(-zeros[r] * scales_[r]);
  }

  void decode(std::int64_t row, float* y) const override {
    const auto r = static_cast<std::size_t>(row), n = static_cast<std::size_t>(dim);
    const std::uint8_t* const codes = codes_.as<std::uint8_t>().data() + r * n;
    for (std::size_t i = 0; i < n; ++i) y[i] = std::fma(static_cast<float>(codes[i]), scales_[r], offsets_[r]);
  }

 private:
  Tensor codes_;
  std::vector<float> scales_, offsets_;
};

}  // namespace

QuantizedEmbedding::QuantizedEmbedding(QuantizedTensor weights) {
  require_table(weights.shape());
  weights_ = std::make_shared<const EncodedRows>(std::move(weights));
}

QuantizedEmbedding::QuantizedEmbedding(TensorView weights, const QuantSpec& spec)
    : QuantizedEmbedding(quantize(weights, spec)) {}

QuantizedEmbedding::QuantizedEmbedding(Tensor codes, Tensor scales, Tensor zero_points)
    : weights_(std::make_shared<const FloatZeroRows>(std::move(codes), scales, zero_points)) {}

QuantizedEmbedding QuantizedEmbedding::load(const Checkpoint& checkpoint, std::string_view name) {
  const Source source = describe(checkpoint);
  const LogicalTensor& weight = detail::find_module_weight(checkpoint, source, name);
  const std::string stored(weight.info.name);
  const auto codes = checkpoint.find(stored), scales = checkpoint.find(stored + ".q_scale"),
             zero_points = checkpoint.find(stored + ".q_zero_point");
  // Of PyTorch's tensors those with float zero points are no encoding of the library.
  if (!weight.spec && codes && scales && zero_points) {
    return {checkpoint.read(*codes), checkpoint.read(*scales), checkpoint.read(*zero_points)};
  }
  return QuantizedEmbedding(load_quantized(checkpoint, weight));
}

std::int64_t QuantizedEmbedding::rows() const noexcept {
  return weights_->rows;
}
std::int64_t QuantizedEmbedding::dim() const noexcept {
  return weights_->dim;
}

void QuantizedEmbedding::forward(std::span<const std::int64_t> ids, std::span<float> y,
                                 const ForwardOptions& how) const {
  const auto count = static_cast<std::int64_t>(ids.size());
  if (static_cast<std::int64_t>(y.size()) != count * dim()) {
    detail::refuse(kModule, "the elements of y", std::to_string(count) + " rows of " + std::to_string(dim()),
                   std::to_string(y.size()));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < rows()) continue;
    detail::refuse(kModule, "index " + std::to_string(i), "0 to " + std::to_string(rows() - 1), std::to_string(ids[i]));
  }
  constexpr std::int64_t kPiece = 64;
  Executor& executor = how.executor != nullptr ? *how.executor : serial_executor();
  executor.parallel_for((count + kPiece - 1) / kPiece, [&](std::int64_t piece) {
    for (std::int64_t i = piece * kPiece; i < std::min(count, (piece + 1) * kPiece); ++i) {
      weights_->decode(ids[static_cast<std::size_t>(i)], y.data() + i * dim());
    }
  });
}

}  // namespace mq
