// What the modules refuse, and how they say so.
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mq/quantized_conv2d.hpp"
#include "mq/quantized_linear.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::error_of;
using mq::test::gauss_weights;
using mq::test::view_of;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

QuantizedTensor weights_of(const Shape& shape, const char* spec = "int8") {
  return quantize(view_of(gauss_weights(numel(shape), 1), shape), parse_spec(spec));
}

// Throws an error of this code whose text has all parts.
template <class Body>
void check_refused(ErrorCode code, const std::vector<std::string>& parts, Body&& body) {
  const std::optional<Error> error = error_of(body);
  REQUIRE(error);
  const std::string text = error->what();
  CAPTURE(text);
  CHECK(error->code() == code);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("modules: options that cannot be are refused when the module is made") {
  const QuantizedTensor w = weights_of({4, 8});
  const auto make = [&](ModuleOptions options) { QuantizedLinear(w, std::move(options)); };
  check_refused(ErrorCode::Usage, {"QuantizedLinear: the elements of the bias", "4", "3"}, [&] {
    make({.bias = {1, 2, 3}});
  });
  check_refused(ErrorCode::Numeric, {"the bias", "finite"}, [&] { make({.bias = {1, 2, 3, kInfinity}}); });
  check_refused(ErrorCode::Numeric, {"the scale of the input"}, [&] {
    make({.activations = StaticActivations{{std::nanf(""), 0}}});
  });
  check_refused(ErrorCode::Usage, {"the scale of the input", "positive"}, [&] {
    make({.activations = StaticActivations{{-1.0f, 0}}});
  });
  check_refused(ErrorCode::Usage, {"the scale of the output", "reciprocal"}, [&] {
    make({.activations = StaticActivations{{1, 0}, TensorQParams{1e-45f, 0}}});
  });
  check_refused(ErrorCode::Usage, {"the zero point of the output", "0 to 255", "256"}, [&] {
    make({.activations = StaticActivations{{1, 0}, TensorQParams{1, 256}}});
  });
  check_refused(ErrorCode::Usage, {"int8", "nf4"},
                [&] { make({.activations = DynamicActivations{.how = {.element = "nf4"}}}); });
  check_refused(ErrorCode::Usage, {"fp8_e4m3"}, [&] {
    make({.activations = DynamicActivations{.how = {.element = "fp8_e4m3"}, .reduce_range = true}});
  });
}

TEST_CASE("Linear: shapes and sizes are held against each other") {
  check_refused(ErrorCode::Usage, {"[out, in]", "[4, 2, 4]"}, [] { QuantizedLinear(weights_of({4, 2, 4})); });
  check_refused(ErrorCode::Usage, {"[out, in]", "[0, 8]"}, [] { QuantizedLinear(weights_of({0, 8})); });
  const QuantizedLinear linear(weights_of({4, 8}));
  std::vector<float> y(8);
  check_refused(ErrorCode::Usage, {"the elements of x", "multiple of 8", "17"},
                [&] { linear.forward(std::vector<float>(17), y); });
  check_refused(ErrorCode::Usage, {"the elements of y", "3 rows of 4", "8"},
                [&] { linear.forward(std::vector<float>(24), y); });
  linear.forward(std::vector<float>{}, std::span<float>{});
}

TEST_CASE("modules: codes go where there are parameters for them, and nowhere else") {
  const QuantizedTensor w = weights_of({4, 8});
  const std::vector<float> x(8);
  const std::vector<std::uint8_t> x_codes(8);
  std::vector<float> y(4);
  std::vector<std::uint8_t> y_codes(4);
  const QuantizedLinear floats(w);
  check_refused(ErrorCode::Usage, {"the input", "floats", "codes"}, [&] { floats.forward(x_codes, y); });
  check_refused(ErrorCode::Usage, {"the output", "floats", "codes"}, [&] { floats.forward(x, y_codes); });
  const QuantizedLinear in(w, {.activations = StaticActivations{{1, 0}}});
  in.forward(x_codes, y);
  check_refused(ErrorCode::Usage, {"the output"}, [&] { in.forward(x, y_codes); });
}

TEST_CASE("modules: floats to be quantized that are not finite are refused by their row") {
  const std::vector<ModuleActivations> quantized = {DynamicActivations{}, pytorch_dynamic_activations(),
                                                    StaticActivations{{1, 0}, TensorQParams{1, 0}}};
  std::vector<float> x(16, 1.0f), y(8);
  x[9] = kInfinity;
  for (const ModuleActivations& how : quantized) {
    CAPTURE(how.index());
    check_refused(ErrorCode::Numeric, {"row 1", "finite"}, [&] {
      QuantizedLinear(weights_of({4, 8}), {.activations = how}).forward(x, y);
    });
    check_refused(ErrorCode::Numeric, {"row 1", "finite"}, [&] {
      QuantizedConv2d(weights_of({4, 8, 1, 1}), {}, {.activations = how}).forward(x, {2, 8, 1, 1}, y);
    });
  }
}

TEST_CASE("Conv2d: shapes and geometries that cannot be are refused") {
  const QuantizedTensor w = weights_of({6, 2, 3, 3});
  const auto make = [&](const Conv2dGeometry& geometry) { return QuantizedConv2d(w, geometry); };
  check_refused(ErrorCode::Usage, {"[out, in / groups, height, width]", "[6, 18]"}, [] {
    QuantizedConv2d(weights_of({6, 18}), {});
  });
  check_refused(ErrorCode::Usage, {"groups", "divisor of the 6 outputs", "4"}, [&] { make({.groups = 4}); });
  check_refused(ErrorCode::Usage, {"groups", "0"}, [&] { make({.groups = 0}); });
  check_refused(ErrorCode::Usage, {"the stride", "0"}, [&] { make({.stride = {1, 0}}); });
  check_refused(ErrorCode::Usage, {"the padding", "-1"}, [&] { make({.padding = {-1, 0}}); });
  check_refused(ErrorCode::Usage, {"the dilation", "0"}, [&] { make({.dilation = {0, 1}}); });
  const QuantizedConv2d conv = make({.groups = 2});
  CHECK(conv.in_channels() == 4);
  CHECK(conv.output_shape({0, 4, 3, 5}) == ImageShape{0, 6, 1, 3});
  check_refused(ErrorCode::Usage, {"channels", "4", "2"}, [&] { conv.output_shape({1, 2, 3, 3}); });
  check_refused(ErrorCode::Usage, {"the width of the padded image", "at least 3", "2"}, [&] {
    conv.output_shape({1, 4, 3, 2});
  });
  check_refused(ErrorCode::Usage, {"images", "-1"}, [&] { conv.output_shape({-1, 4, 3, 3}); });
  check_refused(ErrorCode::Limit, {}, [&] { conv.output_shape({1 << 30, 4, 1 << 30, 1 << 30}); });
  check_refused(ErrorCode::Usage, {"the height of the padded image"}, [&] {
    make({.dilation = {std::int64_t{1} << 31, 1}}).output_shape({1, 2, 3, 3});
  });
  std::vector<float> y(18);
  check_refused(ErrorCode::Usage, {"the elements of x", "60", "59"}, [&] {
    conv.forward(std::vector<float>(59), {1, 4, 3, 5}, y);
  });
  check_refused(ErrorCode::Usage, {"the elements of y", "18 of [1, 6, 1, 3]", "5"}, [&] {
    conv.forward(std::vector<float>(60), {1, 4, 3, 5}, std::span(y).first(5));
  });
  conv.forward(std::span<const float>{}, {0, 4, 3, 5}, std::span<float>{});
}

TEST_CASE("Conv2d: weights of several groups need scales that each group can have") {
  const auto make = [](const std::string& spec, std::int64_t groups) {
    QuantizedConv2d(weights_of({32, 8, 2, 2}, spec.c_str()), {.groups = groups});
  };
  for (const std::string spec : {"int8:b8x16", "int8:channel=1", "nf4:g32:dq"}) {
    CAPTURE(spec);
    make(spec, 1);
    check_refused(ErrorCode::Usage, {"several groups", "output channels"}, [&] { make(spec, 4); });
  }
}
