// What an encoding is: QuantSpec, its text form, and the catalogue of schemes. Plain values; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mq/dtype.hpp"
#include "mq/tensor.hpp"

namespace mq {

// Which weights share a scale. Weights are seen as a matrix [out, rest].
struct PerTensor {
  bool operator==(const PerTensor&) const = default;
};
struct PerChannel {
  int axis = 0;  // dimension of the tensor whose indices are the channels
  bool operator==(const PerChannel&) const = default;
};
struct PerGroup {
  std::int64_t group_size = 128;  // consecutive weights of a row; divides the row
  bool operator==(const PerGroup&) const = default;
};
struct PerBlock {
  std::int64_t rows = 128;  // blocks at the edges may be partial
  std::int64_t cols = 128;
  bool operator==(const PerBlock&) const = default;
};
using Granularity = std::variant<PerTensor, PerChannel, PerGroup, PerBlock>;

enum class Mapping { Symmetric, Asymmetric };

// How a symmetric scale follows from the range of a block:
//   Narrow  absmax / qmax, codes -qmax..qmax
//   Full    absmax / ((qmax - qmin) / 2), codes qmin..qmax: PyTorch's and compressed-tensors' formula
//   Signed  extreme / qmin, extreme being the value of largest magnitude with its sign: uses qmin, scale may be
//   negative
// Asymmetric mappings and floats have one formula and leave it at Narrow.
enum class RangeKind { Narrow, Full, Signed };

// How activations are quantized by the runtime; stored in the output's configuration, never applied here.
struct ActivationSpec {
  std::string element = "int8";  // "int8", "fp8_e4m3", or "nvfp4": groups of 16 whose scales the runtime finds, within
                                 // one that is static
  bool per_token = true;         // else per tensor
  Mapping mapping = Mapping::Symmetric;
  bool dynamic = true;  // else with one scale, known beforehand and stored beside the weights (mq/activations.hpp)

  bool operator==(const ActivationSpec&) const = default;
};

struct QuantSpec {
  std::string codec = "affine";  // the encoding: "affine", "fp8", "float_cast", "ggml", …
  DType element = DType::Int8;   // what a code is: Int8 or UInt8 (any `bits`), a float type for float encodings,
                                 // the block type for ggml's
  int bits = 8;                  // of one code
  Granularity granularity = PerChannel{};
  Mapping mapping = Mapping::Symmetric;
  RangeKind range = RangeKind::Narrow;
  bool double_quant = false;         // scales are stored as codes of 8 bits themselves (bitsandbytes)
  int outliers = 0;                  // columns that stay float16 beside the codes; of codec "outliers" alone
  std::optional<DType> scale_dtype;  // storage type of the scales; empty: Float32, or what the output's dialect says
  std::optional<ActivationSpec> activation;

  bool operator==(const QuantSpec&) const = default;

  bool is_integer() const noexcept { return codec == "affine"; }
  // Smallest and largest code of an integer encoding: -2^(bits-1)..2^(bits-1)-1 or 0..2^bits-1.
  std::int32_t qmin() const noexcept;
  std::int32_t qmax() const noexcept;
};

// Parses NAME[:tensor|:channel[=AXIS]|:gN|:bRxC][:sym|:asym][:narrow|:full|:signed][:dq][:oN][+ACTIVATION], for example
// "int8", "int8:tensor:asym", "int4:g32:asym", "uint8:channel=1:asym", "fp8_e4m3:channel", "nf4:dq",
// "int8_outliers:o32", "int8+int8:token:dyn".
// NAME is one of schemes(); the options may come in any order, each at most once, and only those that the encoding has.
// Defaults: int5..int8 and uint5..uint8 channel:sym:narrow, int2..int4 and uint2..uint4 g128:sym:full, fp8 channel.
// ACTIVATION: int8[:token|:tensor][:sym|:asym][:dyn|:static] or fp8_e4m3[:token|:tensor][:dyn|:static]; the default is
// :token:sym:dyn, with :static :tensor:sym. Of nvfp4 weights: nvfp4[:tensor][:static].
// Throws: Usage; an unknown name or option suggests the nearest one.
QuantSpec parse_spec(std::string_view text);

// The text form with every default spelled out: "int8:channel=0:sym:narrow"; parse_spec gives the same value back.
// scale_dtype is not part of it. Of a block type that is only read, its name: "mxfp4".
std::string to_string(const QuantSpec& spec);

std::string to_string(const Granularity& granularity);

// Bits of storage per weight for a tensor of this shape: codes, scales, and zero points of the width of a code.
// Throws: Usage if the granularity does not fit the shape.
double bits_per_weight(const QuantSpec& spec, std::span<const std::int64_t> shape);

// One row of the catalogue that `mq-convert schemes` prints.
struct SchemeInfo {
  std::string_view name;  // what parse_spec takes as NAME
  QuantSpec spec;         // what the bare name means
  std::string_view description;
};
std::span<const SchemeInfo> schemes();

}  // namespace mq
