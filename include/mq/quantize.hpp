// Quantization of tensors in memory. Pure functions; thread-safe.
//
// Numerics contract (all arithmetic in float, round to nearest even, no fused multiply-add):
//   q = int(clamp(rne(x * (1/s)) + z, qmin, qmax))      the clamp happens in float, before the conversion
//   y = (q - z) * s
// s is the scale as stored: rounded to its storage type first, codes are computed with the rounded one.
// Asymmetric: lo = min(lo, 0), hi = max(hi, 0), s = (hi - lo)/(qmax - qmin), z = clamp(qmin - rne(lo/s), qmin, qmax).
// Symmetric: s by RangeKind, z = 0 for signed codes and 2^(bits-1) for unsigned ones.
// A block of zeros has s = 1 and codes z. Where the stored s would be 0 or 1/s not finite, the block takes the
// smallest usable s of its type, with its sign. A scale beyond the range of its type is an error.
// fp8: s = absmax/448 (E4M3FN) or absmax/57344 (E5M2); q = the nearest fp8 value of clamp(x/s), ties to even;
// y = value(q) * s. Beyond the finite range codes saturate.
// fp16 and bf16 (codec float_cast): IEEE round to nearest even; a finite value that would become infinite is an error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/observer.hpp"
#include "mq/quant_spec.hpp"
#include "mq/search.hpp"
#include "mq/tensor.hpp"

namespace mq {

// Scale and zero point of each block, in row-major order of the blocks.
struct QParams {
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;  // empty for symmetric signed codes and for floats

  bool operator==(const QParams&) const = default;
};

// Scales (rounded to spec.scale_dtype, Float32 if empty) and zero points for the ranges.
// Throws: Numeric for ranges that are not finite and scales that their type cannot hold, Usage for encodings without
// scales and ranges with lo > hi.
QParams choose_qparams(std::span<const Range> ranges, const QuantSpec& spec);

// A tensor in encoded form: named parts that together give the values.
//   "codes"       one code per byte (Int8, UInt8 or an fp8 type) or one float of the target type, in the tensor's shape
//   "scale"       [blocks down, blocks across] of the matrix [out, rest], in the scale's storage type
//   "zero_point"  same shape, Int8 or UInt8 as the codes; only for asymmetric mappings
//   "outlier_columns", "outlier_weight"   of encodings with outliers: Int32 [1, N], ascending columns of the matrix, and
//                 Float16 [out, N], what stands in them, where codes are 0
class QuantizedTensor {
 public:
  struct Part {
    std::string name;
    Tensor tensor;
  };

  QuantizedTensor(QuantSpec spec, Shape shape, std::vector<Part> parts)
      : spec_(std::move(spec)), shape_(std::move(shape)), parts_(std::move(parts)) {}

  const QuantSpec& spec() const noexcept { return spec_; }
  const Shape& shape() const noexcept { return shape_; }
  std::span<const Part> parts() const noexcept { return parts_; }
  const Tensor* find(std::string_view part) const noexcept;

  // Throws: Usage if there is no such part.
  const Tensor& codes() const { return part("codes"); }
  // Scales and zero points as numbers; zero_points is empty for symmetric signed codes and for floats.
  QParams qparams() const;

 private:
  const Tensor& part(std::string_view name) const;

  QuantSpec spec_;
  Shape shape_;
  std::vector<Part> parts_;
};

// Quantizes a float tensor (any float type; f64 goes through f32).
// Throws: Usage (not a float tensor, granularity that does not fit), Numeric (NaN, infinity, overflow).
QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec);
// The same with scales (and zero points) that a search finds for each block, where the encoding has such a search and
// every block is a piece of one row: integers of 2 to 6 bits, and of 8 in groups of up to 128; with Effort::Max any.
// Throws: also Usage if the importance does not fit the columns.
QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec, const SearchOptions& search);
// The same with given parameters, one per block; scales are rounded to their storage type.
// Throws: also Usage if their number is not that of the blocks, a scale is 0 or not finite, or a zero point is not a code
// (for symmetric mappings: not the one they have).
QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec, const QParams& qparams);

// The values as float32.
Tensor dequantize(const QuantizedTensor& tensor);

// The quantized tensor whose float original was called `name` ("model.layers.0.mlp.up_proj.weight"), with the codes,
// scales and zero points that the checkpoint stores, whatever its dialect names them.
// Throws: Usage if there is none of that name or it is not quantized, Corrupt, Io.
QuantizedTensor load_quantized(const Checkpoint& checkpoint, std::string_view name);

}  // namespace mq
