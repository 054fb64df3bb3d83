#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "mq/quantize.hpp"
#include "src/qparams.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::message_of;

namespace {

QParams params_of(const std::string& text, Range range, DType scale = DType::Float32) {
  QuantSpec spec = parse_spec(text);
  spec.scale_dtype = scale;
  const Range ranges[] = {range};
  return choose_qparams(ranges, spec);
}

float scale_of(const std::string& text, Range range, DType scale = DType::Float32) {
  return params_of(text, range, scale).scales.at(0);
}

}  // namespace

TEST_CASE("qparams: symmetric scales by the kind of range") {
  CHECK(scale_of("int8:narrow", {-2, 1}) == 2.0f / 127.0f);
  CHECK(scale_of("int8:full", {-2, 1}) == 2.0f / 127.5f);
  CHECK(scale_of("int8:signed", {-2, 1}) == -2.0f / -128.0f);
  CHECK(scale_of("int8:signed", {-1, 2}) == 2.0f / -128.0f);
  CHECK(scale_of("int4:narrow", {-2, 7}) == 1.0f);
  CHECK(scale_of("int4:full", {-2, 7.5f}) == 1.0f);
  CHECK(scale_of("int4:signed", {-8, 8}) == 1.0f);  // a tie takes the negative extreme
  CHECK(scale_of("int2:narrow", {-3, 1}) == 3.0f);
  CHECK(scale_of("int8:narrow", {1, 3}) == 3.0f / 127.0f);
  CHECK(scale_of("int8:signed", {-3, -1}) == 3.0f / 128.0f);
}

TEST_CASE("qparams: unsigned symmetric codes have their zero in the middle and the scales of signed ones") {
  for (const char* range : {":narrow", ":full", ":signed"}) {
    for (int bits = 2; bits <= 8; ++bits) {
      const std::string rest = std::to_string(bits) + ":channel" + range;
      const QParams is_signed = params_of("int" + rest, {-1.5f, 2.5f});
      const QParams is_unsigned = params_of("uint" + rest, {-1.5f, 2.5f});
      CHECK(is_signed.scales == is_unsigned.scales);
      CHECK(is_signed.zero_points.empty());
      CHECK(is_unsigned.zero_points == std::vector<std::int32_t>{1 << (bits - 1)});
    }
  }
}

TEST_CASE("qparams: asymmetric ranges include zero and reach both ends") {
  CHECK(params_of("uint8:asym", {0, 255}) == QParams{{1}, {0}});
  CHECK(params_of("int8:asym", {0, 255}) == QParams{{1}, {-128}});
  CHECK(params_of("uint8:asym", {-255, 0}) == QParams{{1}, {255}});
  CHECK(params_of("uint8:asym", {10, 255}) == QParams{{1}, {0}});
  CHECK(params_of("uint8:asym", {-255, -10}) == QParams{{1}, {255}});
  CHECK(params_of("int4:asym", {-5, 10}) == QParams{{1}, {-3}});
  CHECK(params_of("uint4:asym", {-2.5f, 12.5f}) == QParams{{1}, {2}});  // a tie goes to the even one
}

TEST_CASE("qparams: a block of zeros has scale 1") {
  for (const char* text : {"int8", "int8:full", "int4:signed", "fp8_e4m3"}) CHECK(scale_of(text, {0, 0}) == 1);
  CHECK(scale_of("int8:signed", {-0.0f, 0.0f}) == 1);
  CHECK(params_of("int8:asym", {0, 0}) == QParams{{1}, {-128}});
  CHECK(params_of("uint4", {0, 0}) == QParams{{1}, {8}});
}

TEST_CASE("qparams: fp8 scales map the largest magnitude to the largest code") {
  CHECK(scale_of("fp8_e4m3", {-3, 2}) == 3.0f / 448.0f);
  CHECK(scale_of("fp8_e5m2", {-3, 4}) == 4.0f / 57344.0f);
  CHECK(params_of("fp8_e4m3", {-3, 2}).zero_points.empty());
}

TEST_CASE("qparams: smallest scales have a finite reciprocal, and the next smaller value of the type has not") {
  for (const DType dtype : {DType::Float32, DType::Float16, DType::BFloat16}) {
    const float smallest = smallest_scale(dtype);
    CHECK(std::isfinite(1.0f / smallest));
    const std::uint32_t step = dtype == DType::Float32 ? 1 : 1u << 16;
    const float below = std::bit_cast<float>(std::bit_cast<std::uint32_t>(smallest) - step);
    if (dtype != DType::Float16) CHECK(std::isinf(1.0f / below));
    float rounded = smallest;
    CHECK(round_scales(dtype, &rounded, 1) == 0);
    CHECK(rounded == smallest);
  }
  CHECK(smallest_scale(DType::Float16) == 0x1p-24f);
}

TEST_CASE("qparams: scales too small for use become the smallest usable one, with their sign") {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  for (const DType dtype : {DType::Float32, DType::Float16, DType::BFloat16}) {
    CHECK(scale_of("int8", {-kTiny, 0}, dtype) == smallest_scale(dtype));
    CHECK(scale_of("int8:signed", {0, kTiny}, dtype) == -smallest_scale(dtype));
    CHECK(scale_of("fp8_e4m3", {0, kTiny}, dtype) == smallest_scale(dtype));
    CHECK(params_of("int8:asym", {0, kTiny}, dtype) == QParams{{smallest_scale(dtype)}, {-128}});
  }
  CHECK(scale_of("int8", {0, 1e-6f}, DType::Float16) == 0x1p-24f);
}

TEST_CASE("qparams: scales are rounded to their type and zero points follow from the rounded ones") {
  CHECK(scale_of("int8", {-1, 1}, DType::Float16) == 0x1.02p-7f);
  CHECK(scale_of("int8", {-1, 1}, DType::BFloat16) == 0x1.02p-7f);
  CHECK(scale_of("int8", {-1, 1}) == 1.0f / 127.0f);
  for (float lo = -1; lo > -2; lo -= 0.01f) {
    const QParams params = params_of("uint8:asym", {lo, 1}, DType::BFloat16);
    CHECK(params.zero_points[0] == static_cast<std::int32_t>(-std::nearbyint(lo / params.scales[0])));
  }
}

TEST_CASE("qparams: ranges up to the limits of float are quantized, scales that overflow are refused") {
  constexpr float kMax = std::numeric_limits<float>::max();
  CHECK(scale_of("uint8:asym", {-kMax, kMax}) == kMax / 127.5f);
  CHECK(params_of("uint8:asym", {-kMax, kMax}).zero_points[0] == 128);
  CHECK(scale_of("int8", {-kMax, kMax}) == kMax / 127.0f);
  const auto refused = [](const std::string& text, Range range, DType dtype) {
    return code_of([&] { params_of(text, range, dtype); }) == ErrorCode::Numeric;
  };
  CHECK(refused("int8", {0, 1e7f}, DType::Float16));
  CHECK_FALSE(refused("int8", {0, 8e6f}, DType::Float16));
  CHECK_FALSE(refused("int8", {0, 1e7f}, DType::BFloat16));
  CHECK(message_of([] { params_of("int8", {0, 1e7f}, DType::Float16); }).find("f32") != std::string::npos);
  CHECK(refused("int8", {0, std::numeric_limits<float>::infinity()}, DType::Float32));
  CHECK(refused("int8", {std::nanf(""), 1}, DType::Float32));
  CHECK(code_of([] { params_of("int8", {1, -1}); }) == ErrorCode::Usage);
  CHECK(code_of([] { choose_qparams({}, parse_spec("fp16")); }) == ErrorCode::Usage);
  CHECK(choose_qparams({}, parse_spec("int8")).scales.empty());
}
