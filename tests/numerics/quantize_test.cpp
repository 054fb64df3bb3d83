#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "mq/cpu.hpp"
#include "mq/quantize.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::gauss_weights;
using mq::test::message_of;
using mq::test::view_of;

namespace {

std::vector<int> codes_of(const QuantizedTensor& tensor) {
  std::vector<int> codes;
  for (const std::byte b : tensor.codes().bytes()) {
    const auto code = static_cast<std::uint8_t>(b);
    codes.push_back(tensor.codes().dtype() == DType::Int8 ? static_cast<std::int8_t>(code) : code);
  }
  return codes;
}

std::vector<int> codes(const std::string& spec, const std::vector<float>& x, const Shape& shape) {
  return codes_of(quantize(view_of(x, shape), parse_spec(spec)));
}

std::vector<float> values(const QuantizedTensor& tensor) {
  const Tensor y = dequantize(tensor);
  return {y.as<float>().begin(), y.as<float>().end()};
}

}  // namespace

TEST_CASE("quantize: the kinds of range by hand") {
  const std::vector<float> x{-8, -7, -3.5f, 0, 0.5f, 1.5f, 3.5f, 7};
  const Shape shape{1, 8};
  CHECK(codes("int4:channel:signed", x, shape) == std::vector<int>{-8, -7, -4, 0, 0, 2, 4, 7});
  CHECK(codes("uint4:channel:signed", x, shape) == std::vector<int>{0, 1, 4, 8, 8, 10, 12, 15});
  const std::vector<float> even{-7, -6, -3.5f, 0, 0.5f, 1.5f, 3.5f, 7};
  CHECK(codes("int4:channel:narrow", even, shape) == std::vector<int>{-7, -6, -4, 0, 0, 2, 4, 7});
  CHECK(codes("uint4:channel:narrow", even, shape) == std::vector<int>{1, 2, 4, 8, 8, 10, 12, 15});
  const std::vector<float> wide{-7.5f, 7.5f, 7.4f, -7, 0, 1, 2, 3};
  CHECK(codes("int4:channel:full", wide, shape) == std::vector<int>{-8, 7, 7, -7, 0, 1, 2, 3});
  const std::vector<float> positive{0, 1, 2, 3, 4, 5, 6, 15};
  CHECK(codes("uint4:channel:asym", positive, shape) == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 15});
  CHECK(codes("int4:channel:asym", positive, shape) == std::vector<int>{-8, -7, -6, -5, -4, -3, -2, 7});
}

TEST_CASE("quantize: a signed range may give a negative scale, and values come back with their sign") {
  const std::vector<float> x{8, -4, 1, 0};
  const QuantizedTensor tensor = quantize(view_of(x, Shape{1, 4}), parse_spec("int4:channel:signed"));
  CHECK(tensor.qparams().scales == std::vector<float>{-1});
  CHECK(codes_of(tensor) == std::vector<int>{-8, 4, -1, 0});
  CHECK(values(tensor) == x);
}

TEST_CASE("quantize: parts have their names, types and shapes") {
  const std::vector<float> x = gauss_weights(4 * 6 * 4, 1);
  QuantSpec spec = parse_spec("uint4:g8:asym");
  spec.scale_dtype = DType::BFloat16;
  const QuantizedTensor tensor = quantize(view_of(x, Shape{4, 6, 4}), spec);
  REQUIRE(tensor.parts().size() == 3);
  CHECK(tensor.codes().dtype() == DType::UInt8);
  CHECK(tensor.codes().shape() == Shape{4, 6, 4});
  CHECK(tensor.find("scale")->dtype() == DType::BFloat16);
  CHECK(tensor.find("scale")->shape() == Shape{4, 3});
  CHECK(tensor.find("zero_point")->dtype() == DType::UInt8);
  CHECK(tensor.find("zero_point")->shape() == Shape{4, 3});
  CHECK(tensor.find("nothing") == nullptr);
  CHECK(tensor.spec() == spec);
  CHECK(tensor.qparams().scales.size() == 12);
  const QuantizedTensor half = quantize(view_of(x, Shape{4, 24}), parse_spec("fp16"));
  CHECK(half.parts().size() == 1);
  CHECK(half.codes().dtype() == DType::Float16);
  CHECK(code_of([&] { half.qparams(); }) == ErrorCode::Usage);
}

TEST_CASE("quantize: zeros have scale 1 and codes z; smallest values do not divide by zero") {
  for (const char* text :
       {"int8", "int4:g4", "uint8", "uint4:g4:asym", "int8:tensor:asym", "fp8_e4m3", "int8:channel=1"}) {
    CAPTURE(text);
    const std::vector<float> zero(8, -0.0f);
    const QuantizedTensor tensor = quantize(view_of(zero, Shape{2, 4}), parse_spec(text));
    const QParams params = tensor.qparams();
    CHECK(std::ranges::count(params.scales, 1.0f) == std::ssize(params.scales));
    CHECK(std::ranges::count(values(tensor), 0.0f) == 8);
    const std::vector<float> tiny(8, std::numeric_limits<float>::denorm_min());
    for (const float y : values(quantize(view_of(tiny, Shape{2, 4}), parse_spec(text)))) CHECK(std::fabs(y) < 1e-37f);
  }
}

TEST_CASE("quantize: any float type gives what its float32 values give") {
  const std::vector<std::uint16_t> half{0x3c00, 0xc000, 0x4200, 0x0001, 0xfbff, 0x1234, 0x8000, 0x3555};
  const Shape shape{2, 4};
  const TensorView f16{DType::Float16, shape, std::as_bytes(std::span(half))};
  std::vector<float> wide(8);
  const QuantizedTensor as_float = quantize(f16, parse_spec("fp32"));
  std::ranges::copy(as_float.codes().as<float>(), wide.begin());
  CHECK(wide[0] == 1.0f);
  CHECK(wide[4] == -65504.0f);
  CHECK(codes_of(quantize(f16, parse_spec("int8:asym"))) == codes("int8:asym", wide, shape));
  std::vector<double> doubles(wide.begin(), wide.end());
  const TensorView f64{DType::Float64, shape, std::as_bytes(std::span(doubles))};
  CHECK(codes_of(quantize(f64, parse_spec("int8:tensor"))) == codes("int8:tensor", wide, shape));
  // Data at odd addresses, as in a mapped file.
  std::vector<std::byte> shifted(33);
  std::ranges::copy(std::as_bytes(std::span(wide)), shifted.begin() + 1);
  const TensorView odd{DType::Float32, shape, std::span(shifted).subspan(1)};
  CHECK(codes_of(quantize(odd, parse_spec("int8"))) == codes("int8", wide, shape));
}

TEST_CASE("quantize: tensors of many bands equal their rows one by one") {
  const Shape shape{300, 2000};
  const std::vector<float> x = gauss_weights(numel(shape), 2);
  std::vector<double> doubles(x.begin(), x.end());
  const TensorView view{DType::Float64, shape, std::as_bytes(std::span(doubles))};
  for (const char* text : {"int8:asym", "int4:g40", "int8:tensor", "uint8:channel=1"}) {
    CHECK(codes_of(quantize(view, parse_spec(text))) == codes(text, x, shape));
  }
}

TEST_CASE("quantize: scalars and empty tensors") {
  const std::vector<float> one{3};
  const QuantizedTensor scalar = quantize(view_of(one, Shape{}), parse_spec("int8:tensor"));
  CHECK(codes_of(scalar) == std::vector<int>{127});
  CHECK(dequantize(scalar).shape().empty());
  const std::vector<float> none;
  for (const Shape& shape : {Shape{0}, Shape{0, 128}, Shape{4, 0}}) {
    for (const char* text : {"int8", "int8:tensor:asym", "fp8_e4m3:tensor", "bf16"}) {
      CHECK(values(quantize(view_of(none, shape), parse_spec(text))).empty());
    }
  }
}

TEST_CASE("quantize: fp8 saturates at the largest finite value") {
  std::vector<float> x{448, -500, 464, 1e30f, 0.5f, 0x1p-9f, 0x1p-10f, 17};
  const Shape shape{1, 8};
  const QParams unit{.scales = {1}, .zero_points = {}};
  const QuantizedTensor e4m3 = quantize(view_of(x, shape), parse_spec("fp8_e4m3"), unit);
  CHECK(values(e4m3) == std::vector<float>{448, -448, 448, 448, 0.5f, 0x1p-9f, 0, 16});
  x = {57344, -61440, 1e30f, 0x1p-16f, 0x1p-17f, 1.125f, 1.375f, -0.0f};
  const QuantizedTensor e5m2 = quantize(view_of(x, shape), parse_spec("fp8_e5m2"), unit);
  CHECK(values(e5m2) == std::vector<float>{57344, -57344, 57344, 0x1p-16f, 0, 1, 1.5f, 0});
}

TEST_CASE("quantize: given parameters are checked") {
  const std::vector<float> x(8, 1.0f);
  const Shape shape{2, 4};
  const auto code = [&](const std::string& spec, const QParams& params) {
    return code_of([&] { quantize(view_of(x, shape), parse_spec(spec), params); });
  };
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK_FALSE(code("int8", {{1, 1}, {}}));
  CHECK_FALSE(code("int8", {{1, -1}, {0, 0}}));
  CHECK_FALSE(code("uint8", {{1, 1}, {128, 128}}));
  CHECK(code("int8", {{1}, {}}) == ErrorCode::Usage);
  CHECK(code("int8", {{1, 0}, {}}) == ErrorCode::Usage);
  CHECK(code("int8", {{1, kInf}, {}}) == ErrorCode::Usage);
  CHECK(code("int8", {{1, 1}, {0}}) == ErrorCode::Usage);
  CHECK(code("int8", {{1, 1}, {0, 1}}) == ErrorCode::Usage);
  CHECK(code("int8:asym", {{1, 1}, {}}) == ErrorCode::Usage);
  CHECK(code("int8:asym", {{1, 1}, {0, 128}}) == ErrorCode::Usage);
  CHECK(code("uint8:asym", {{1, 1}, {0, -1}}) == ErrorCode::Usage);
  CHECK(code("bf16", {{1, 1}, {}}) == ErrorCode::Usage);
  QuantSpec half = parse_spec("int8");
  half.scale_dtype = DType::Float16;
  const QParams large{{1, 1e6f}, {}};
  CHECK(code_of([&] { quantize(view_of(x, shape), half, large); }) == ErrorCode::Numeric);
  // Given scales are stored, and used, as rounded.
  const QParams third{{1 / 3.0f, 1 / 3.0f}, {}};
  const QuantizedTensor tensor = quantize(view_of(x, shape), half, third);
  CHECK(tensor.qparams().scales[0] == 0x1.554p-2f);
}

TEST_CASE("quantize: what cannot be quantized is refused") {
  std::vector<float> x(8, 1.0f);
  const Shape shape{2, 4};
  const auto code = [&](const QuantSpec& spec) { return code_of([&] { quantize(view_of(x, shape), spec); }); };
  CHECK(code(parse_spec("int8:g3")) == ErrorCode::Usage);
  CHECK(code(parse_spec("int8:channel=2")) == ErrorCode::Usage);
  const std::vector<std::uint8_t> bytes(8);
  const TensorView integers{DType::UInt8, shape, std::as_bytes(std::span(bytes))};
  CHECK(code_of([&] { quantize(integers, QuantSpec{}); }) == ErrorCode::Usage);
  const TensorView cut{DType::Float32, shape, std::as_bytes(std::span(bytes))};
  CHECK(code_of([&] { quantize(cut, QuantSpec{}); }) == ErrorCode::Usage);
  x[5] = 1e38f;
  QuantSpec half = parse_spec("int8");
  half.scale_dtype = DType::Float16;
  CHECK(code(half) == ErrorCode::Numeric);
  CHECK(message_of([&] { quantize(view_of(x, shape), half); }).find("store the scales as f32") != std::string::npos);
  CHECK(code(parse_spec("fp16")) == ErrorCode::Numeric);
  CHECK_FALSE(code(parse_spec("bf16")));
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    x[5] = bad;
    for (const char* text : {"int8", "int4:g4:asym", "int8:tensor", "fp8_e4m3", "bf16", "fp32"}) {
      CHECK(code(parse_spec(text)) == ErrorCode::Numeric);
    }
  }
}

TEST_CASE("dequantize: parts that do not fit spec and shape are refused") {
  const std::vector<float> x(8, 1.0f);
  const QuantizedTensor good = quantize(view_of(x, Shape{2, 4}), parse_spec("int8:asym"));
  std::vector<QuantizedTensor::Part> parts(good.parts().begin(), good.parts().end());
  CHECK_FALSE(code_of([&] { dequantize({good.spec(), good.shape(), parts}); }));
  CHECK(code_of([&] { dequantize({good.spec(), Shape{4, 4}, parts}); }) == ErrorCode::Usage);
  CHECK(code_of([&] { dequantize({parse_spec("uint8:asym"), good.shape(), parts}); }) == ErrorCode::Usage);
  parts.pop_back();
  CHECK(code_of([&] { dequantize({good.spec(), good.shape(), parts}); }) == ErrorCode::Usage);
}

TEST_CASE("cpu: the active instruction set is one of those available") {
  CHECK(std::ranges::count(available_isas(), active_isa()) == 1);
  CHECK(available_isas().back() == "reference");
}
