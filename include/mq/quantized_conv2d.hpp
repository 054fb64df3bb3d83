// A two-dimensional convolution with quantized weights, zero padding. An immutable value: copies share the weights, and
// forward may be called from many threads, each with a workspace of its own.
// Source: torch.nn.Conv2d, torch.ao.nn.quantized.Conv2d.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "mq/checkpoint.hpp"
#include "mq/module.hpp"
#include "mq/quantize.hpp"

namespace mq {

namespace detail {
struct Conv2dWeights;
}

// Rows, then columns. Channels are cut into groups: outputs of one see the inputs of the same.
struct Conv2dGeometry {
  std::array<std::int64_t, 2> stride = {1, 1};
  std::array<std::int64_t, 2> padding = {0, 0};  // on both sides
  std::array<std::int64_t, 2> dilation = {1, 1};
  std::int64_t groups = 1;

  bool operator==(const Conv2dGeometry&) const = default;
};

// Layout: [batch, channels, height, width], row-major.
struct ImageShape {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;

  bool operator==(const ImageShape&) const = default;
};

class QuantizedConv2d {
 public:
  // From weights [out, in / groups, kernel height, kernel width] of any encoding; with more than one group of those
  // whose scales belong to the tensor, to output channels, or to groups or blocks of a row.
  // Throws: Usage for another shape or encoding, a geometry that does not exist, a bias of another size, activations
  // that do not exist, or static ones without parameters; Numeric for a bias or parameters that are not finite.
  QuantizedConv2d(const QuantizedTensor& weights, const Conv2dGeometry& geometry, ModuleOptions options = {});
  // The same from float weights, quantized as quantize() does. Throws: also as quantize() does.
  QuantizedConv2d(TensorView weights, const QuantSpec& spec, const Conv2dGeometry& geometry,
                  ModuleOptions options = {});
  // The layer `name` of a checkpoint, as QuantizedLinear::load. Throws: as that.
  static QuantizedConv2d load(const Checkpoint& checkpoint, std::string_view name, const Conv2dGeometry& geometry,
                              ModuleOptions options = {});

  std::int64_t in_channels() const noexcept;
  std::int64_t out_channels() const noexcept;
  const Conv2dGeometry& geometry() const noexcept { return geometry_; }
  const ModuleActivations& activations() const noexcept { return *options_.activations; }

  // Throws: Usage if channels are not in_channels(), a size is negative, or the padded image is smaller than the
  // kernel; Limit if the output would have more elements than can be counted.
  ImageShape output_shape(const ImageShape& input) const;

  // x of that shape, y of output_shape(shape).
  // Throws: as output_shape(); Usage for sizes that do not agree, and codes where the module has none; Numeric for
  // floats to be quantized that are NaN or infinite.
  void forward(ModuleInput x, const ImageShape& shape, ModuleOutput y, const ForwardOptions& options = {}) const;

 private:
  std::shared_ptr<const detail::Conv2dWeights> weights_;
  Conv2dGeometry geometry_;
  ModuleOptions options_;  // activations are there
};

}  // namespace mq
