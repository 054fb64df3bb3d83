// The modules against their contract written out: sums over codes, scales and zero points, element by element.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mq/quantized_conv2d.hpp"
#include "mq/quantized_linear.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using mq::test::contains;
using mq::test::gauss_weights;
using mq::test::view_of;

namespace {

std::vector<float> decoded(const QuantizedTensor& tensor) {
  const Tensor values = dequantize(tensor);
  return {values.as<float>().begin(), values.as<float>().end()};
}

// A convolution written out; a Linear is one of 1 x 1 images.
struct Case {
  std::string spec;
  Shape weights;  // [out, in / groups, height, width]
  Conv2dGeometry geometry;
  ImageShape image;
};

class Expected {
 public:
  explicit Expected(const Case& c)
      : case_(c),
        weights_(quantize(view_of(gauss_weights(numel(c.weights), 1), c.weights), parse_spec(c.spec))),
        bias_(gauss_weights(c.weights[0], 3)),
        x_(gauss_weights(c.image.batch * c.image.channels * c.image.height * c.image.width, 2)) {
    const QuantSpec& spec = weights_.spec();
    if (!spec.is_integer()) {
      w_ = decoded(weights_);
      return;
    }
    params_ = weights_.qparams();
    const auto bytes = weights_.codes().bytes();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<std::uint8_t>(bytes[i]);
      const std::int32_t q = spec.element == DType::Int8 ? static_cast<std::int8_t>(byte) : byte;
      w_.push_back(static_cast<float>(q - (params_.zero_points.empty() ? 0 : params_.zero_points[block_at(i)])));
    }
  }

  const QuantizedTensor& weights() const { return weights_; }
  const std::vector<float>& bias() const { return bias_; }
  const std::vector<float>& x() const { return x_; }

  std::vector<float> floats() const {
    return run([&](std::size_t at) { return x_[at]; }, [](std::int64_t) { return 1.0f; }, false);
  }
  // Of inputs that are codes less their zero point, with a scale for each image.
  std::vector<float> codes(const std::vector<std::int32_t>& codes, const std::vector<float>& scales) const {
    return run([&](std::size_t at) { return static_cast<float>(codes[at]); },
               [&](std::int64_t image) { return scales[static_cast<std::size_t>(image)]; }, true);
  }

 private:
  std::size_t k() const { return static_cast<std::size_t>(numel(case_.weights) / case_.weights[0]); }
  std::size_t block() const {
    const auto* group = std::get_if<PerGroup>(&weights_.spec().granularity);
    const bool cuts = group != nullptr && weights_.spec().is_integer();
    return cuts ? static_cast<std::size_t>(group->group_size) : k();
  }
  std::size_t block_at(std::size_t element) const { return params_.scales.size() == 1 ? 0 : element / block(); }
  float scale(std::size_t element) const {
    return weights_.spec().is_integer() ? params_.scales[block_at(element)] : 1.0f;
  }

  template <class X, class Scale>
  std::vector<float> run(X&& x, Scale&& x_scale, bool exact) const;

  Case case_;
  QuantizedTensor weights_;
  std::vector<float> bias_, x_, w_;
  QParams params_;
};

template <class X, class Scale>
std::vector<float> Expected::run(X&& x, Scale&& x_scale, bool exact) const {
  const auto& [stride, padding, dilation, groups] = case_.geometry;
  const ImageShape& in = case_.image;
  const std::int64_t out = case_.weights[0], height = case_.weights[2], width = case_.weights[3];
  const std::int64_t rows = (in.height + 2 * padding[0] - dilation[0] * (height - 1) - 1) / stride[0] + 1;
  const std::int64_t cols = (in.width + 2 * padding[1] - dilation[1] * (width - 1) - 1) / stride[1] + 1;
  std::vector<float> y;
  for (std::int64_t i = 0; i < in.batch * out * rows * cols; ++i) {
    const std::int64_t n = i / (out * rows * cols), o = i / (rows * cols) % out;
    const std::int64_t oy = i / cols % rows, ox = i % cols;
    float total = 0, part = 0;
    std::int64_t sum = 0;
    for (std::size_t e = 0; e < k(); ++e) {
      const auto index = static_cast<std::int64_t>(e);
      const std::int64_t c = o / (out / groups) * case_.weights[1] + index / (height * width);
      const std::int64_t iy = oy * stride[0] - padding[0] + index / width % height * dilation[0];
      const std::int64_t ix = ox * stride[1] - padding[1] + index % width * dilation[1];
      const bool inside = iy >= 0 && iy < in.height && ix >= 0 && ix < in.width;
      const float pixel =
          inside ? x(static_cast<std::size_t>(((n * in.channels + c) * in.height + iy) * in.width + ix)) : 0.0f;
      const std::size_t at = static_cast<std::size_t>(o) * k() + e;
      part = std::fma(pixel, w_[at], part);
      if (exact) sum += static_cast<std::int64_t>(pixel) * static_cast<std::int64_t>(w_[at]);
      if ((e + 1) % block() != 0) continue;
      total = std::fma(exact ? static_cast<float>(sum) : part, scale(at), total);
      part = 0;
      sum = 0;
    }
    if (exact) total *= x_scale(n);
    y.push_back(total + bias_[static_cast<std::size_t>(o)]);
  }
  return y;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"int8", {10, 6, 3, 3}, {{2, 2}, {1, 1}}, {2, 6, 11, 9}},
      {"int8:channel:full", {8, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 8}, {2, 8, 7, 7}},
      {"int8:asym", {8, 1, 3, 5}, {{2, 1}, {1, 3}, {1, 2}, 8}, {1, 8, 9, 20}},
      {"uint8:tensor:asym", {24, 2, 2, 3}, {{1, 3}, {0, 2}, {3, 1}, 4}, {3, 8, 9, 9}},
      {"int4:channel", {16, 3, 1, 1}, {{1, 1}, {0, 0}, {1, 1}, 2}, {1, 6, 40, 40}},
      {"int8:g16", {5, 16, 3, 3}, {{1, 1}, {2, 2}, {2, 2}}, {1, 16, 5, 6}},
      {"int8:g16:asym", {12, 8, 2, 2}, {{1, 1}, {0, 1}, {1, 1}, 3}, {1, 24, 5, 6}},
      {"int8:tensor", {3, 1, 4, 4}, {{5, 7}, {4, 4}, {1, 1}, 3}, {2, 3, 1, 2}},
  };
  return kCases;
}

// Codes of 8 bits for the elements of x, and their parameters.
std::vector<std::uint8_t> codes_of(const std::vector<float>& x, const TensorQParams& params) {
  const Shape shape = {static_cast<std::int64_t>(x.size())};
  const QuantizedTensor q =
      quantize(view_of(x, shape), parse_spec("uint8:tensor:asym"), QParams{{params.scale}, {params.zero_point}});
  const auto codes = q.codes().as<std::uint8_t>();
  return {codes.begin(), codes.end()};
}

std::vector<float> forward(const QuantizedConv2d& conv, ModuleInput x, const ImageShape& shape,
                           const ForwardOptions& how = {}) {
  const ImageShape out = conv.output_shape(shape);
  std::vector<float> y(static_cast<std::size_t>(out.batch * out.channels * out.height * out.width), 7.0f);
  conv.forward(x, shape, y, how);
  return y;
}

}  // namespace

TEST_CASE("Conv2d: float activations are sums in the order of the weights") {
  std::vector<Case> all = cases();
  all.push_back({"nf4:g16", {6, 8, 2, 2}, {{1, 1}, {1, 1}, {1, 1}, 3}, {2, 24, 5, 6}});
  all.push_back({"fp16", {6, 8, 2, 3}, {{2, 1}, {0, 1}, {1, 1}, 2}, {2, 16, 5, 6}});
  all.push_back({"q8_0", {6, 8, 2, 2}, {{1, 1}, {1, 1}, {1, 1}, 2}, {1, 16, 5, 6}});
  all.push_back({"nf4:g32", {4, 32, 1, 1}, {{3, 1}}, {1, 32, 5, 6}});
  for (const Case& c : all) {
    CAPTURE(c.spec);
    const Expected expected(c);
    const QuantizedConv2d conv(expected.weights(), c.geometry, {.bias = expected.bias()});
    CHECK(forward(conv, expected.x(), c.image) == expected.floats());
  }
}

TEST_CASE("Conv2d: static activations are exact sums of codes, padded with the zero point") {
  for (const TensorQParams input : {TensorQParams{0.03f, 117}, TensorQParams{0.01f, 0}, TensorQParams{0.02f, 255}}) {
    for (const Case& c : cases()) {
      CAPTURE(c.spec);
      const Expected expected(c);
      const std::vector<std::uint8_t> codes = codes_of(expected.x(), input);
      std::vector<std::int32_t> less_zero;
      for (const std::uint8_t q : codes) less_zero.push_back(q - input.zero_point);
      const std::vector<float> scales(static_cast<std::size_t>(c.image.batch), input.scale);
      const QuantizedConv2d conv(expected.weights(), c.geometry,
                                 {.activations = StaticActivations{input}, .bias = expected.bias()});
      const std::vector<float> y = expected.codes(less_zero, scales);
      CHECK(forward(conv, codes, c.image) == y);
      CHECK(forward(conv, expected.x(), c.image) == y);
    }
  }
}

TEST_CASE("Conv2d: dynamic activations have a scale for each image, or one for all") {
  for (const bool per_token : {true, false}) {
    for (const char* spec : {"int8:tensor:narrow", "int8:tensor:asym", "uint7:tensor:asym"}) {
      for (const Case& c : cases()) {
        CAPTURE(c.spec);
        CAPTURE(spec);
        const Expected expected(c);
        const std::int64_t numel = c.image.channels * c.image.height * c.image.width;
        const std::int64_t rows = per_token ? c.image.batch : 1, size = numel * c.image.batch / rows;
        std::vector<std::int32_t> codes;
        std::vector<float> scales;
        for (std::int64_t r = 0; r < rows; ++r) {
          const std::vector<float> row(expected.x().begin() + r * size, expected.x().begin() + (r + 1) * size);
          const QuantizedTensor q = quantize(view_of(row, Shape{size}), parse_spec(spec));
          const std::int32_t zero = q.qparams().zero_points.empty() ? 0 : q.qparams().zero_points[0];
          for (const std::byte b : q.codes().bytes()) {
            const auto byte = static_cast<std::uint8_t>(b);
            codes.push_back((spec[0] == 'u' ? byte : static_cast<std::int8_t>(byte)) - zero);
          }
          scales.insert(scales.end(), static_cast<std::size_t>(c.image.batch / rows), q.qparams().scales[0]);
        }
        const Mapping mapping = contains(spec, "asym") ? Mapping::Asymmetric : Mapping::Symmetric;
        const DynamicActivations how = {{.per_token = per_token, .mapping = mapping}, spec[0] == 'u'};
        const QuantizedConv2d conv(expected.weights(), c.geometry, {.activations = how, .bias = expected.bias()});
        CHECK(forward(conv, expected.x(), c.image) == expected.codes(codes, scales));
      }
    }
  }
}

TEST_CASE("Conv2d: activations of weights that are no integers are quantized and decoded") {
  const Case c = {"nf4:g16", {6, 8, 2, 2}, {{1, 1}, {1, 1}, {1, 1}, 3}, {2, 24, 5, 6}};
  const Expected expected(c);
  const TensorQParams input = {0.03f, 117};
  std::vector<float> values;
  for (const std::uint8_t q : codes_of(expected.x(), input)) {
    values.push_back(static_cast<float>(q - input.zero_point) * input.scale);
  }
  const QuantizedConv2d plain(expected.weights(), c.geometry, {.bias = expected.bias()});
  const QuantizedConv2d fixed(expected.weights(), c.geometry,
                              {.activations = StaticActivations{input}, .bias = expected.bias()});
  const std::vector<float> y = forward(plain, values, c.image);
  CHECK(forward(fixed, expected.x(), c.image) == y);
  CHECK(forward(fixed, codes_of(expected.x(), input), c.image) == y);
  DynamicActivations fp8 = {.how = {.element = "fp8_e4m3", .per_token = false}};
  const QuantizedConv2d dynamic(expected.weights(), c.geometry, {.activations = fp8, .bias = expected.bias()});
  const Shape all = {static_cast<std::int64_t>(expected.x().size())};
  const QuantizedTensor rounded = quantize(view_of(expected.x(), all), parse_spec("fp8_e4m3:tensor"));
  CHECK(forward(dynamic, expected.x(), c.image) == forward(plain, decoded(rounded), c.image));
}

TEST_CASE("modules: outputs with parameters are codes or their values, a ReLU cuts them at 0") {
  const StaticActivations how = {{0.03f, 117}, TensorQParams{0.25f, 100}};
  for (const bool relu : {false, true}) {
    for (const Case& c : cases()) {
      CAPTURE(c.spec);
      const Expected expected(c);
      const QuantizedConv2d plain(expected.weights(), c.geometry,
                                  {.activations = StaticActivations{how.input}, .bias = expected.bias()});
      const QuantizedConv2d conv(expected.weights(), c.geometry,
                                 {.activations = how, .bias = expected.bias(), .relu = relu});
      std::vector<float> y = forward(plain, expected.x(), c.image);
      for (float& v : y) v = relu ? std::max(v, 0.0f) : v;
      const std::vector<std::uint8_t> expected_codes = codes_of(y, *how.output);
      CHECK(std::ranges::min(expected_codes) < (relu ? 101 : 100));
      std::vector<std::uint8_t> codes(y.size());
      conv.forward(expected.x(), c.image, codes);
      CHECK(codes == expected_codes);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>(codes[i] - 100) * 0.25f;
      CHECK(forward(conv, expected.x(), c.image) == y);
      const QuantizedConv2d floats(expected.weights(), c.geometry, {.bias = expected.bias(), .relu = relu});
      std::vector<float> sums = expected.floats();
      for (float& v : sums) v = relu ? std::max(v, 0.0f) : v;
      CHECK(forward(floats, expected.x(), c.image) == sums);
    }
  }
}

TEST_CASE("Linear: a convolution of one pixel, in every mode") {
  const StaticActivations fixed = {{0.03f, 117}, TensorQParams{0.25f, 100}};
  const DynamicActivations dynamic = {.how = {.mapping = Mapping::Asymmetric}};
  for (const std::string spec : {"int8", "int8:asym", "int4:g32", "nf4:g32", "fp8_e4m3", "q8_0"}) {
    const QuantizedTensor flat = quantize(view_of(gauss_weights(40 * 96, 1), Shape{40, 96}), parse_spec(spec));
    const QuantizedTensor cube(flat.spec(), Shape{40, 96, 1, 1}, {flat.parts().begin(), flat.parts().end()});
    const std::vector<float> x = gauss_weights(1500 * 96, 2), bias = gauss_weights(40, 3);
    for (const ModuleActivations& how :
         std::vector<ModuleActivations>{FloatActivations{}, dynamic, pytorch_dynamic_activations(), fixed}) {
      CAPTURE(spec);
      CAPTURE(how.index());
      const QuantizedLinear linear(flat, {.activations = how, .bias = bias, .relu = true});
      const QuantizedConv2d conv(cube, {}, {.activations = how, .bias = bias, .relu = true});
      std::vector<float> y(1500 * 40);
      linear.forward(x, y);
      CHECK(y == forward(conv, x, {1500, 96, 1, 1}));
      if (how.index() != 2) continue;
      std::vector<std::uint8_t> codes(y.size()), others(y.size());
      linear.forward(codes_of(x, fixed.input), codes);
      conv.forward(x, {1500, 96, 1, 1}, others);
      CHECK(codes == others);
    }
  }
}

TEST_CASE("Linear: float and dynamic activations are those of matmul") {
  const QuantizedTensor w = quantize(view_of(gauss_weights(40 * 96, 1), Shape{40, 96}), parse_spec("int4:g32:asym"));
  const std::vector<float> x = gauss_weights(9 * 96, 2), bias = gauss_weights(40, 3);
  const Shape shape = {9, 96};
  for (const bool dynamic : {false, true}) {
    MatmulOptions options{.bias = bias};
    ModuleActivations how = FloatActivations{};
    if (dynamic) {
      options.activations = ActivationSpec{.mapping = Mapping::Asymmetric};
      how = DynamicActivations{.how = *options.activations};
    }
    std::vector<float> expected(9 * 40), found(9 * 40);
    matmul(view_of(x, shape), pack_for_matmul(w), expected, options);
    QuantizedLinear(w, {.activations = how, .bias = bias}).forward(x, found);
    CHECK(found == expected);
    QuantizedLinear(pack_for_matmul(w), {.activations = how, .bias = bias}).forward(x, found);
    CHECK(found == expected);
  }
}

TEST_CASE("modules: activations that the spec of the weights names are the default") {
  const std::vector<float> w = gauss_weights(4 * 8, 1);
  const QuantizedLinear dynamic(view_of(w, Shape{4, 8}), parse_spec("int8+int8:token:asym"));
  CHECK(dynamic.activations() == ModuleActivations(DynamicActivations{.how = {.mapping = Mapping::Asymmetric}}));
  CHECK(QuantizedLinear(view_of(w, Shape{4, 8}), parse_spec("int8")).activations() ==
        ModuleActivations(FloatActivations{}));
  CHECK(contains(test::message_of([&] {
                   QuantizedLinear(view_of(w, Shape{4, 8}), parse_spec("int8+int8:static"));
                 }),
                 "static activations are not known"));
}

TEST_CASE("modules: threads, a used workspace and copies change nothing") {
  const std::unique_ptr<Executor> threads = make_thread_executor(3);
  MatmulWorkspace workspace;
  for (const ModuleActivations& how : std::vector<ModuleActivations>{
           FloatActivations{}, DynamicActivations{}, StaticActivations{{0.03f, 117}, TensorQParams{0.25f, 100}}}) {
    for (const Case& c : cases()) {
      CAPTURE(c.spec);
      const Expected expected(c);
      const QuantizedConv2d conv(expected.weights(), c.geometry, {.activations = how, .bias = expected.bias()});
      const QuantizedConv2d copy = conv;
      const std::vector<float> alone = forward(conv, expected.x(), c.image);
      CHECK(forward(copy, expected.x(), c.image, {threads.get(), &workspace}) == alone);
      CHECK(forward(copy, expected.x(), c.image, {nullptr, &workspace}) == alone);
    }
    const QuantizedLinear linear(view_of(gauss_weights(40 * 96, 1), Shape{40, 96}), parse_spec("int8"),
                                 {.activations = how});
    const std::vector<float> x = gauss_weights(2100 * 96, 2);
    std::vector<float> alone(2100 * 40), shared(2100 * 40);
    linear.forward(x, alone);
    linear.forward(x, shared, {threads.get(), &workspace});
    CHECK(alone == shared);
  }
}
