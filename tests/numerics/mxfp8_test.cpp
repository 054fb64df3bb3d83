// 8-bit floats with a power of two for 32 weights, against the formulas of OCP Microscaling 1.0.
#include <doctest/doctest.h>

#include <cmath>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::Random;
using mq::test::view_of;

namespace {

struct Format {
  const char* name;
  int mantissa_bits, least_exponent, largest_exponent;
  double largest;
};
constexpr Format kFormats[] = {{"mxfp8", 3, -6, 8, 448.0}, {"mxfp8_e5m2", 2, -14, 15, 57344.0}};

// To the nearest float of the format, ties to even, saturating.
double rounded(const Format& format, double v) {
  if (v == 0) return v;
  const int exponent = std::max(std::ilogb(v), format.least_exponent);
  const double step = std::ldexp(1.0, exponent - format.mantissa_bits);
  const double nearest = std::nearbyint(v / step) * step;
  return std::copysign(std::min(std::fabs(nearest), format.largest), v);
}

}  // namespace

TEST_CASE("mxfp8: scales and values follow the standard's formulas") {
  Random random(9);
  for (const Format& format : kFormats) {
    std::vector<float> x(8 * 64);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(random.gauss() * std::ldexp(1.0, static_cast<int>(i / 32) * 9 - 70));
    }
    std::fill(x.begin() + 32, x.begin() + 64, 0.0f);
    const QuantizedTensor q = quantize(view_of(x, {8, 64}), parse_spec(format.name));
    const Tensor y = dequantize(q);
    const std::span<const std::byte> scales = q.find("scale")->bytes();
    REQUIRE(scales.size() == 16);
    for (std::size_t block = 0; block < 16; ++block) {
      double absmax = 0;
      for (std::size_t i = 0; i < 32; ++i) absmax = std::max(absmax, std::fabs(static_cast<double>(x[block * 32 + i])));
      const int code = static_cast<int>(scales[block]);
      if (absmax > 0) CHECK(code == std::ilogb(absmax) - format.largest_exponent + 127);
      for (std::size_t i = block * 32; i < block * 32 + 32; ++i) {
        const double scale = std::ldexp(1.0, code - 127);
        CHECK(static_cast<double>(y.as<float>()[i]) == rounded(format, static_cast<double>(x[i]) / scale) * scale);
      }
    }
  }
}

TEST_CASE("mxfp8: a search trades saturation for steps, and never loses") {
  Random random(4);
  std::vector<float> x(64 * 512);
  for (float& value : x) value = static_cast<float>(random.gauss());
  const Shape shape{64, 512};
  const TensorView view = view_of(x, shape);
  for (const Format& format : kFormats) {
    const auto db = [&](Effort effort) {
      return measure(view, dequantize(quantize(view, parse_spec(format.name), {.effort = effort})).view()).sqnr_db();
    };
    const double fast = db(Effort::Fast), search = db(Effort::Search);
    CAPTURE(fast);
    CAPTURE(search);
    CHECK(search > fast);
  }
}

TEST_CASE("mxfp8 has no options") {
  for (const char* text : {"mxfp8:g64", "mxfp8:sym", "mxfp8:channel"})
    CHECK(code_of([&] { parse_spec(text); }) == ErrorCode::Usage);
  CHECK(bits_per_weight(parse_spec("mxfp8"), Shape{4, 64}) == 8.25);
}
