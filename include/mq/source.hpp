// A checkpoint as a model sees it: logical tensors. A weight that is stored quantized, as several tensors, is one
// logical tensor under the name of its float original. Structure only: no tensor data is held. A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/quant_spec.hpp"
#include "mq/quantize.hpp"
#include "mq/shared.hpp"

namespace mq {

// How the elements of a part lie in the stored tensor.
struct PartForm {
  // Codes and zero points in words of 32 bits: a bit stream Along each row (mq/pack.hpp) or Down each column. Scales of
  // a byte in Tiles of 128 rows of 4, padded with zeros, as cuBLAS wants block scales.
  enum class Packing : std::uint8_t { None, Along, Down, Tiles };
  // Where the codes of 4 bits that share a word or byte are: the first in the lowest bits; the first of a byte in its
  // high half; as AWQ has them, 0 2 4 6 1 3 5 7 from the lowest bits up.
  enum class Fields : std::uint8_t { LowFirst, HighFirst, Interleaved };
  // What is stored instead of the value: itself, one less (zero points of GPTQ), 127 times it (bitsandbytes' absmax of
  // an int8 row); a code of it (bitsandbytes' double quantization of scales); one over it (ComfyUI's NVFP4); the same
  // in the widest type, float64 or int64 (PyTorch's parameters).
  enum class Value : std::uint8_t { Itself, LessOne, Times127, Nested, Inverse, Widest };

  Packing packing = Packing::None;
  Fields fields = Fields::LowFirst;
  Value value = Value::Itself;
  bool transposed = false;  // the matrix of elements, or of words where they are packed

  bool operator==(const PartForm&) const = default;
};

// Where one part of a logical tensor is stored.
struct StoredPart {
  // "codes", "scale", "zero_point" and what else an encoding has; "values" for a tensor that is not quantized;
  // "column_groups": the group of each input column, where groups are not runs of columns; empty for a stored tensor
  // that goes with the weight and holds no part of it. Static.
  std::string_view part;
  std::size_t tensor = 0;  // index into Checkpoint::tensors()
  PartForm form = {};

  bool operator==(const StoredPart&) const = default;
};

struct LogicalTensor {
  TensorInfo info;         // name, type and shape of the float original; Float32 where the type is not known
  Shared<QuantSpec> spec;  // how it is stored, if quantized; else null
  std::string_view dialect = "plain";  // static, as the names of all dialects
  int leading_dims = 1;                // dimensions that make up the rows of its matrix; the rest are the columns
  bool transposed = false;             // stored as the transpose of the original ([in, out] originals stored [out, in])
  std::int32_t interleaved_heads = 0;  // rows stored as Transform::Kind::InterleaveHalves leaves them; 0: in order
  InlineVector<StoredPart, 1> parts;
  std::int64_t stored_bytes = 0;  // of all parts in the checkpoint

  bool operator==(const LogicalTensor&) const = default;
};

// Whether a part of it is stored as the transpose of its matrix.
bool stores_strips(const LogicalTensor& tensor) noexcept;

struct Source {
  std::vector<LogicalTensor> tensors;  // in the order of their first part in the checkpoint
  Metadata metadata;
  std::vector<Asset> assets;
  std::vector<LeftOut> left_out;
  std::string format;             // Checkpoint::format()
  std::string dialect = "plain";  // of the quantized tensors; "plain" if there are none
  std::string config;             // text of config.json, or of the configuration a single file carries; else empty
  std::int64_t stored_bytes = 0;  // of all stored tensors; the largest number there is if they claim more
  std::optional<std::int64_t> file_bytes;  // of the files that hold them, if they are files
};

enum class Recognise {
  Quantized,  // quantized weights become one logical tensor each
  Nothing,    // every stored tensor is a logical tensor of its own
};

// Reads the structure (and config.json, not tensor data) of a checkpoint.
// Throws: Corrupt if the tensors contradict the checkpoint's quantization config (names, shapes, types), Io.
Source describe(const Checkpoint& checkpoint, Recognise recognise = Recognise::Quantized);

// The logical tensor as float32, decoded if it is quantized.
// Throws: Usage if it is not of a float type, Unsupported for ggml blocks that are not decoded, Io, Corrupt.
Tensor read_float(const Checkpoint& checkpoint, const LogicalTensor& tensor);

// The logical tensor as stored: as load_quantized() by name.
QuantizedTensor load_quantized(const Checkpoint& checkpoint, const LogicalTensor& tensor);

}  // namespace mq
