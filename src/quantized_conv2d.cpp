#include "mq/quantized_conv2d.hpp"

#include <string>
#include <utility>

#include "src/conv2d_run.hpp"
#include "src/conv2d_weights.hpp"
#include "src/module_parts.hpp"
#include "src/module_setup.hpp"

namespace mq {
namespace {

constexpr std::string_view kModule = "QuantizedConv2d";
// So that positions in a padded image can be added without overflow.
constexpr std::int64_t kMostPixels = std::int64_t{1} << 31;

void require_between(std::int64_t value, std::int64_t least, const std::string& what) {
  if (value >= least && value <= kMostPixels) return;
  detail::refuse(kModule, what, std::to_string(least) + " to " + std::to_string(kMostPixels), std::to_string(value));
}

void require_geometry(const Conv2dGeometry& geometry) {
  for (const std::size_t d : {0, 1}) {
    require_between(geometry.stride[d], 1, "the stride");
    require_between(geometry.padding[d], 0, "the padding");
    require_between(geometry.dilation[d], 1, "the dilation");
  }
}

// Positions of a kernel of so many elements along a side.
std::int64_t positions(std::int64_t pixels, std::int64_t kernel, const Conv2dGeometry& geometry, std::size_t d) {
  const std::int64_t padded = pixels + 2 * geometry.padding[d];
  require_between(kernel, 1, "the size of the kernel");
  const std::int64_t covered =
      geometry.dilation[d] > kMostPixels / kernel ? kMostPixels * 4 : geometry.dilation[d] * (kernel - 1) + 1;
  if (covered > padded) {
    detail::refuse(kModule, d == 0 ? "the height of the padded image" : "the width of the padded image",
                   "at least " + std::to_string(covered), std::to_string(padded));
  }
  return (padded - covered) / geometry.stride[d] + 1;
}

std::int64_t count(const ImageShape& shape) {
  const Shape all = {shape.batch, shape.channels, shape.height, shape.width};
  return numel(all);
}

void require_size(const char* what, std::int64_t found, const ImageShape& shape) {
  if (found == count(shape)) return;
  const Shape all = {shape.batch, shape.channels, shape.height, shape.width};
  detail::refuse(kModule, what, std::to_string(count(shape)) + " of " + to_string(all), std::to_string(found));
}

}  // namespace

QuantizedConv2d::QuantizedConv2d(const QuantizedTensor& weights, const Conv2dGeometry& geometry, ModuleOptions options)
    : geometry_(geometry) {
  require_geometry(geometry);
  const std::int64_t out = weights.shape().empty() ? 0 : weights.shape()[0];
  options_ = detail::checked_options(std::move(options), &weights.spec(), out, kModule);
  weights_ = std::make_shared<const detail::Conv2dWeights>(detail::prepare_conv2d(weights, geometry.groups));
}

QuantizedConv2d::QuantizedConv2d(TensorView weights, const QuantSpec& spec, const Conv2dGeometry& geometry,
                                 ModuleOptions options)
    : QuantizedConv2d(quantize(weights, spec), geometry, std::move(options)) {}

QuantizedConv2d QuantizedConv2d::load(const Checkpoint& checkpoint, std::string_view name,
                                      const Conv2dGeometry& geometry, ModuleOptions options) {
  const detail::ModuleParts parts = detail::load_module(checkpoint, name, std::move(options));
  return {parts.weights, geometry, parts.options};
}

std::int64_t QuantizedConv2d::in_channels() const noexcept {
  return weights_->in_per_group * weights_->groups;
}
std::int64_t QuantizedConv2d::out_channels() const noexcept {
  return weights_->out;
}

ImageShape QuantizedConv2d::output_shape(const ImageShape& input) const {
  require_between(input.batch, 0, "images");
  require_between(input.height, 0, "the height");
  require_between(input.width, 0, "the width");
  if (input.channels != in_channels()) {
    detail::refuse(kModule, "channels", std::to_string(in_channels()), std::to_string(input.channels));
  }
  const ImageShape output = {input.batch, out_channels(),
                             positions(input.height, weights_->kernel_height, geometry_, 0),
                             positions(input.width, weights_->kernel_width, geometry_, 1)};
  count(input);
  count(output);
  return output;
}

void QuantizedConv2d::forward(ModuleInput x, const ImageShape& shape, ModuleOutput y, const ForwardOptions& how) const {
  detail::require_code_support(x, y, options_, kModule);
  const ImageShape output = output_shape(shape);
  require_size("the elements of x", detail::size_of(x), shape);
  require_size("the elements of y", detail::size_of(y), output);
  if (count(output) == 0) return;
  detail::Conv2dRun(*weights_, geometry_, options_, shape, output).run(x, y, how);
}

}  // namespace mq
