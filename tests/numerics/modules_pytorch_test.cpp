// The modules against what PyTorch's quantized modules computed (tests/data/numerics/modules.*).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <doctest/doctest.h>

#include "mq/quantized_conv2d.hpp"
#include "mq/quantized_embedding.hpp"
#include "mq/quantized_linear.hpp"
#include "tests/numerics/pytorch.hpp"

using namespace mq;
using mq::test::PyTorchCases;
using mq::test::real;
using mq::test::text;
using mq::test::whole;

namespace {

class ModuleCases {
 public:
  std::vector<const json::Value*> of_kind(std::string_view kind) const {
    std::vector<const json::Value*> found = cases_.of_kind(kind);
    REQUIRE(!found.empty());
    return found;
  }

  Tensor tensor(const json::Value& test, const std::string& name) const {
    return cases_.tensor(std::to_string(whole(test, "i")) + "." + name);
  }
  template <class T>
  std::vector<T> values(const json::Value& test, const std::string& name) const {
    const Tensor found = tensor(test, name);
    return {found.as<T>().begin(), found.as<T>().end()};
  }

  // The weights, quantized here. Codes and scales are PyTorch's: that is checked.
  QuantizedTensor weights(const json::Value& test, const char* spec) const {
    const QuantizedTensor quantized = quantize(tensor(test, "weight_float").view(), parse_spec(spec));
    CHECK(std::ranges::equal(quantized.codes().bytes(), tensor(test, "weight_int").bytes()));
    CHECK(quantized.qparams().scales == values<float>(test, "weight_scale"));
    return quantized;
  }

 private:
  PyTorchCases cases_{"modules"};
};

TensorQParams params_of(const json::Value& test, const std::string& of) {
  return {static_cast<float>(real(test, of + "_scale")), static_cast<std::int32_t>(whole(test, of + "_zero_point"))};
}

StaticActivations static_of(const json::Value& test) {
  return {params_of(test, "x"), params_of(test, "y")};
}

Conv2dGeometry geometry_of(const json::Value& test) {
  const auto pair = [&](std::string_view key) {
    const json::Array& values = *test.find(key)->as_array();
    return std::array<std::int64_t, 2>{*values[0].as_int(), *values[1].as_int()};
  };
  return {pair("stride"), pair("padding"), pair("dilation"), whole(test, "groups")};
}

ImageShape image_shape(const Shape& shape) {
  return {shape[0], shape[1], shape[2], shape[3]};
}

}  // namespace

TEST_CASE("modules: a static Linear gives PyTorch's integers") {
  const ModuleCases cases;
  for (const json::Value* test : cases.of_kind("static_linear")) {
    const QuantizedLinear linear(cases.weights(*test, "int8:channel:full"),
                                 {.activations = static_of(*test), .bias = cases.values<float>(*test, "bias")});
    const auto expected = cases.values<std::uint8_t>(*test, "y_int");
    std::vector<std::uint8_t> codes(expected.size());
    linear.forward(cases.values<std::uint8_t>(*test, "x_int"), codes);
    CHECK(codes == expected);
    std::vector<std::uint8_t> from_floats(expected.size());
    linear.forward(cases.values<float>(*test, "x"), from_floats);
    CHECK(from_floats == codes);
    std::vector<float> floats(expected.size());
    linear.forward(cases.values<std::uint8_t>(*test, "x_int"), floats);
    CHECK(floats == cases.values<float>(*test, "y"));
  }
}

TEST_CASE("modules: static convolutions give PyTorch's integers") {
  const ModuleCases cases;
  for (const std::string kind :
       {"static_conv2d", "static_conv2d_depthwise", "static_conv2d_grouped_dilated", "static_conv2d_1x1"}) {
    for (const json::Value* test : cases.of_kind(kind)) {
      CAPTURE(kind);
      const Conv2dGeometry geometry = geometry_of(*test);
      const QuantizedConv2d conv(cases.weights(*test, "int8:channel:full"), geometry,
                                 {.activations = static_of(*test), .bias = cases.values<float>(*test, "bias")});
      const ImageShape shape = image_shape(cases.tensor(*test, "x").shape()), output = conv.output_shape(shape);
      CHECK(output == image_shape(cases.tensor(*test, "y").shape()));
      const auto expected = cases.values<std::uint8_t>(*test, "y_int");
      std::vector<std::uint8_t> codes(expected.size());
      conv.forward(cases.values<std::uint8_t>(*test, "x_int"), shape, codes);
      CHECK(codes == expected);
      std::vector<float> floats(expected.size());
      conv.forward(cases.values<float>(*test, "x"), shape, floats);
      CHECK(floats == cases.values<float>(*test, "y"));
    }
  }
}

TEST_CASE("modules: a dynamic Linear is within 2^-21 of the largest of PyTorch's results") {
  const ModuleCases cases;
  for (const json::Value* test : cases.of_kind("dynamic_linear")) {
    const bool per_channel = *test->find("per_channel")->as_bool();
    const QuantizedLinear linear(
        cases.weights(*test, per_channel ? "int8:channel:full" : "int8:tensor:full"),
        {.activations = pytorch_dynamic_activations(), .bias = cases.values<float>(*test, "bias")});
    const auto expected = cases.values<float>(*test, "y");
    std::vector<float> found(expected.size());
    linear.forward(cases.values<float>(*test, "x"), found);
    float largest = 0, error = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      largest = std::max(largest, std::fabs(expected[i]));
      error = std::max(error, std::fabs(found[i] - expected[i]));
    }
    CHECK(error <= largest * 0x1p-21f);
  }
}

TEST_CASE("modules: an Embedding with float zero points gives PyTorch's floats") {
  const ModuleCases cases;
  for (const json::Value* test : cases.of_kind("embedding_8bit")) {
    const QuantizedEmbedding embedding(cases.tensor(*test, "weight_int"), cases.tensor(*test, "weight_scale"),
                                       cases.tensor(*test, "weight_zero_point"));
    const auto expected = cases.values<float>(*test, "y");
    std::vector<float> found(expected.size());
    embedding.forward(cases.values<std::int64_t>(*test, "ids"), found);
    CHECK(found == expected);
  }
}
