// The affine arithmetic against the integers and floats that PyTorch computed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "mq/quantize.hpp"
#include "tests/numerics/pytorch.hpp"

using namespace mq;
using mq::test::PyTorchCases;
using mq::test::real;
using mq::test::text;
using mq::test::whole;

namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  return std::ranges::equal(a.bytes(), b.bytes());
}

QuantSpec spec_for(const json::Value& test, const Granularity& granularity) {
  QuantSpec spec = parse_spec(text(test, "dtype") == "quint8" ? "uint8:asym" : "int8:asym");
  spec.granularity = granularity;
  return spec;
}

QParams per_channel_params(const PyTorchCases& cases, const json::Value& test) {
  QParams params;
  const Tensor scales = cases.tensor(text(test, "scales"));
  params.scales.assign(scales.as<float>().begin(), scales.as<float>().end());
  if (test.find("zero_points") == nullptr) {
    params.zero_points.assign(params.scales.size(), 0);
    return params;
  }
  const Tensor zero_points = cases.tensor(text(test, "zero_points"));
  for (const std::int64_t zero : zero_points.as<std::int64_t>()) {
    params.zero_points.push_back(static_cast<std::int32_t>(zero));
  }
  return params;
}

QParams per_tensor_params(const json::Value& test) {
  return {.scales = {static_cast<float>(real(test, "scale"))},
          .zero_points = {static_cast<std::int32_t>(whole(test, "zero_point"))}};
}

// Checks integers and, where the file has them, dequantized floats. Returns the number of integers.
std::int64_t check_integers(const PyTorchCases& cases, const json::Value& test, const QuantSpec& spec,
                            const QParams& params) {
  const Tensor input = cases.tensor("in." + text(test, "input"));
  const QuantizedTensor quantized = quantize(input.view(), spec, params);
  const std::string out = text(test, "out");
  CAPTURE(out);
  CHECK(same_bytes(quantized.codes(), cases.tensor(out)));
  CHECK(same_bytes(dequantize(quantized), cases.tensor(out + ".dq")));
  return numel(quantized.shape());
}

void check_quantized(std::string_view file, std::int64_t per_tensor_integers) {
  const PyTorchCases cases(file);
  std::int64_t integers = 0;
  for (const json::Value* test : cases.of_kind("quantize_per_tensor")) {
    integers += check_integers(cases, *test, spec_for(*test, PerTensor{}), per_tensor_params(*test));
  }
  CHECK(integers == per_tensor_integers);
  for (const json::Value* test : cases.of_kind("quantize_per_channel")) {
    const PerChannel channel{static_cast<int>(whole(*test, "axis"))};
    check_integers(cases, *test, spec_for(*test, channel), per_channel_params(cases, *test));
  }
}

// PyTorch's fake quantization is quantization followed by dequantization with the same formula.
void check_fake_quantized(std::string_view file) {
  const PyTorchCases cases(file);
  for (const json::Value* test : cases.of_kind("fake_quantize_per_tensor")) {
    REQUIRE(whole(*test, "quant_min") == -128);
    const QuantizedTensor quantized = quantize(cases.tensor("in." + text(*test, "input")).view(),
                                               parse_spec("int8:tensor:asym"), per_tensor_params(*test));
    CHECK(same_bytes(dequantize(quantized), cases.tensor(text(*test, "out"))));
  }
  for (const json::Value* test : cases.of_kind("fake_quantize_per_channel")) {
    REQUIRE(whole(*test, "quant_min") == -8);
    REQUIRE(whole(*test, "axis") == 0);
    const QuantizedTensor quantized = quantize(cases.tensor("in." + text(*test, "input")).view(),
                                               parse_spec("int4:channel:asym"), per_channel_params(cases, *test));
    CHECK(same_bytes(dequantize(quantized), cases.tensor(text(*test, "out"))));
  }
}

using Formula = float (*)(float x, float scale, float zero_point);

// How many of the per-tensor integers another formula gets wrong.
std::int64_t wrong_integers(const PyTorchCases& cases, Formula formula) {
  std::int64_t wrong = 0;
  for (const json::Value* test : cases.of_kind("quantize_per_tensor")) {
    const bool is_unsigned = text(*test, "dtype") == "quint8";
    const float least = is_unsigned ? 0.0f : -128.0f, most = is_unsigned ? 255.0f : 127.0f;
    const Tensor input = cases.tensor("in." + text(*test, "input"));
    const Tensor expected = cases.tensor(text(*test, "out"));
    const QParams params = per_tensor_params(*test);
    const auto zero_point = static_cast<float>(params.zero_points[0]);
    for (std::size_t i = 0; i < input.as<float>().size(); ++i) {
      const float q = formula(input.as<float>()[i], params.scales[0], zero_point);
      const auto code = static_cast<std::uint8_t>(static_cast<std::int32_t>(std::clamp(q, least, most)));
      wrong += code != static_cast<std::uint8_t>(expected.bytes()[i]);
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("quantize: gives PyTorch's integers and dequantized floats, per tensor and per channel") {
  check_quantized("numerics", 25410);
  check_quantized("rounding", 43630);
}

TEST_CASE("quantize: followed by dequantize gives PyTorch's fake quantization") {
  check_fake_quantized("numerics");
  check_fake_quantized("rounding");
}

TEST_CASE("quantize: the fixture tells the formula from three that are nearly right") {
  const PyTorchCases cases("rounding");
  CHECK(wrong_integers(cases, [](float x, float s, float z) { return std::nearbyint(x * (1.0f / s)) + z; }) == 0);
  // Division by the scale.
  CHECK(wrong_integers(cases, [](float x, float s, float z) { return std::nearbyint(x / s) + z; }) == 254);
  // Halves away from zero.
  CHECK(wrong_integers(cases, [](float x, float s, float z) { return std::round(x * (1.0f / s)) + z; }) == 219);
  // The zero point added before rounding.
  CHECK(wrong_integers(cases, [](float x, float s, float z) { return std::nearbyint(x * (1.0f / s) + z); }) == 330);
}
