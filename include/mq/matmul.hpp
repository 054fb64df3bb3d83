// Products of activations and quantized weights: y = x W^T + bias, W [n, k] as stored, x [..., k], y [..., n].
// Weights are immutable and may be used from many threads at once; a workspace belongs to one call at a time.
//
// Numerics contract. Rows are computed as if each were alone. k is cut into blocks: the groups of the weights, or whole
// rows, in pieces of 32768. All sums over blocks are float, in order, with one rounding per step:
//   activations as floats      total = fma(t, s, total), t = fma(x[i], w[i], t) over the block in order, from 0
//                              w = q - z for integers, value(q) for fp8; other encodings: w decoded, s = 1, one block
//   activations quantized      total = fma(float(D), s, total), D = sum over the block of (q - z) * (xq - xz), an exact
//                              32-bit integer; y = total * xs
// and then y + bias. Weights with outlier columns are those of their codes, which are 0 in these columns; activations,
// too, are taken and quantized as 0 there; then y = y + x[j] * w[j] follows for each such column j in order, product
// and sum rounded (LLM.int8(): 16-bit weights times activations as they are). The same bits on every instruction set
// and with any number of threads. Quantized activations have one scale xs (and zero point xz) per row or for all rows,
// chosen from their range by the formulas of mq/quantize.hpp for "int8:narrow" and "int8:asym" (fp8: "fp8_e4m3"). For
// weights that are no integers, and for fp8, they are decoded again and taken as floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "mq/executor.hpp"
#include "mq/quant_spec.hpp"
#include "mq/quantize.hpp"
#include "mq/tensor.hpp"

namespace mq {

namespace detail {
struct PackedImage;
}

// Weights in the order in which the products read them. Copies share their bytes.
// Integers of up to 8 bits and fp8 with a scale per tensor, channel, block or group of at least 16 are packed; other
// encodings are kept as they are and decoded in panels.
class PackedWeights {
 public:
  std::int64_t n() const noexcept;  // output features
  std::int64_t k() const noexcept;  // input features

  // What open_packed_weights takes; a version and the shape stand in it. Empty for weights kept as they are.
  std::span<const std::byte> bytes() const noexcept;

  explicit PackedWeights(std::shared_ptr<const detail::PackedImage> image) : image_(std::move(image)) {}
  const detail::PackedImage& image() const noexcept { return *image_; }

 private:
  std::shared_ptr<const detail::PackedImage> image_;
};

// Packs weights of shape [n, ...], seen as [n, k].
// Throws: Usage if a part of the tensor is missing or of another size.
PackedWeights pack_for_matmul(const QuantizedTensor& weights);

// Weights that were packed before, for example in a mapped file. The bytes are not copied: they must begin at a
// multiple of 64 and stay until the last copy is gone, which owner may see to. They are checked but for the values of
// the codes. Throws: Corrupt for bytes that no pack_for_matmul gave, Unsupported for another version, Usage for their
// alignment.
PackedWeights open_packed_weights(std::span<const std::byte> bytes, std::shared_ptr<const void> owner = {});

// Memory that products work in. It grows to what the largest of them needs and is kept for the next one.
class MatmulWorkspace {
 public:
  // At least size_bytes, aligned to 64; earlier ones are no longer valid.
  std::span<std::byte> reserve(std::size_t size_bytes);
  std::size_t size_bytes() const noexcept { return memory_.size(); }

 private:
  Buffer memory_;
};

struct MatmulOptions {
  // How activations are quantized; empty: they are floats. element is "int8" or "fp8_e4m3".
  std::optional<ActivationSpec> activations = {};
  std::span<const float> bias = {};      // one for each of n, or none
  Executor* executor = nullptr;          // null: the calling thread
  MatmulWorkspace* workspace = nullptr;  // null: memory for this call
};

// y[m][n], row-major, from activations of any float type with k elements in their last dimension; any number of rows.
// Throws: Usage if sizes do not agree, Numeric for activations to be quantized that are NaN or infinite.
void matmul(TensorView activations, const PackedWeights& weights, std::span<float> y,
            const MatmulOptions& options = {});

// The same with weights packed for this one product; the shape is that of the activations with n for k.
Tensor matmul(TensorView activations, const QuantizedTensor& weights, const MatmulOptions& options = {});

// Name of the table of products in use: "reference", "avx2", "avxvnni", "avx512bw", "avx512vnni", "neon", "neondot",
// "neonmm". Decided as active_isa() is. Throws: Usage as active_isa() does.
std::string_view active_matmul_isa();

}  // namespace mq
