// A table of quantized rows, looked up by index. An immutable value: copies share the rows, and forward may be called
// from many threads.
// Source: torch.nn.Embedding, torch.ao.nn.quantized.Embedding.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "mq/checkpoint.hpp"
#include "mq/module.hpp"
#include "mq/quantize.hpp"
#include "mq/tensor.hpp"

namespace mq {

namespace detail {
class EmbeddingRows;
}

class QuantizedEmbedding {
 public:
  // From weights [rows, dim] of any encoding; a row is what dequantize() gives of it.
  // Throws: Usage for another shape, and if a part of the tensor is missing or of another size.
  explicit QuantizedEmbedding(QuantizedTensor weights);
  // The same from float weights, quantized as quantize() does. Throws: also as quantize() does.
  QuantizedEmbedding(TensorView weights, const QuantSpec& spec);
  // Codes of 8 bits [rows, dim] whose rows have a scale and a zero point that is a float, as PyTorch's have them
  // (per_channel_affine_float_qparams): y = fma(q, scale, -zero_point * scale).
  // Throws: Usage for another shape or type and for another number of parameters.
  QuantizedEmbedding(Tensor codes, Tensor scales, Tensor zero_points);

  // The layer `name` ("model.embed_tokens", or the name of its weight) of a checkpoint with quantized weights in any
  // layout that load_quantized reads, or of a state_dict of PyTorch's quantized Embedding.
  // Throws: also Usage if there is no such layer or it is not quantized, Corrupt, Io.
  static QuantizedEmbedding load(const Checkpoint& checkpoint, std::string_view name);

  std::int64_t rows() const noexcept;
  std::int64_t dim() const noexcept;

  // y [ids, dim]: the rows with these indices, in order. y is not touched if an index is out of range.
  // Throws: Usage for an index outside of 0..rows() - 1 and if y is not ids times dim.
  void forward(std::span<const std::int64_t> ids, std::span<float> y, const ForwardOptions& options = {}) const;

 private:
  std::shared_ptr<const detail::EmbeddingRows> weights_;
};

}  // namespace mq
