// The error that each layout must reach on 65,536 weights with scales stored as float16.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "tests/numerics/random.hpp"

using namespace mq;
using mq::test::Random;

namespace {

constexpr int kDraws = 48;

struct Row {
  std::string_view spec;
  double gauss_db;
  double student_db;
};

constexpr std::array<Row, 9> kRows{{
    {"int8:channel:narrow", 42.09, 36.76},
    {"int8:g32:narrow", 45.44, 43.47},
    {"fp8_e4m3:channel", 31.59, 31.71},
    {"int4:g128:narrow", 18.65, 15.39},
    {"int4:g128:signed", 19.79, 16.53},
    {"int4:g128:asym", 19.99, 17.55},
    {"int4:g32:narrow", 20.31, 18.30},
    {"int4:g32:signed", 21.36, 19.42},
    {"int4:g32:asym", 21.90, 20.66},
}};

struct Decibels {
  double mean = 0;
  double deviation = 0;  // of one draw
};

std::array<Decibels, kRows.size()> measure_rows(double (Random::*weight)()) {
  const Shape shape{64, 1024};
  std::array<double, kRows.size()> sum{}, squares{};
  for (int draw = 0; draw < kDraws; ++draw) {
    Random random(static_cast<std::uint64_t>(draw) + 1);
    std::vector<float> x(static_cast<std::size_t>(numel(shape)));
    for (float& value : x) value = static_cast<float>((random.*weight)());
    const TensorView view = mq::test::view_of(x, shape);
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      QuantSpec spec = parse_spec(kRows[i].spec);
      spec.scale_dtype = DType::Float16;
      const double db = measure(view, dequantize(quantize(view, spec)).view()).sqnr_db();
      sum[i] += db;
      squares[i] += db * db;
    }
  }
  std::array<Decibels, kRows.size()> found;
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    const double mean = sum[i] / kDraws;
    found[i] = {mean, std::sqrt(squares[i] / kDraws - mean * mean)};
  }
  return found;
}

}  // namespace

// The bars were measured on one draw of the weights. Our means over many must be within 0.1 dB of them, or within the
// deviation of one draw where that is larger: heavy tails, of which a few weights decide.
TEST_CASE("error table: each layout reaches its signal to noise ratio on normal and on heavy-tailed weights") {
  const auto gauss = measure_rows(&Random::gauss), student = measure_rows(&Random::student5);
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    const std::string spec(kRows[i].spec);
    CAPTURE(spec);
    CAPTURE(gauss[i].mean);
    CAPTURE(student[i].mean);
    CHECK(std::fabs(gauss[i].mean - kRows[i].gauss_db) <= std::max(0.1, gauss[i].deviation));
    CHECK(std::fabs(student[i].mean - kRows[i].student_db) <= std::max(0.1, student[i].deviation));
    CHECK(gauss[i].deviation < 0.15);
    CHECK(student[i].deviation < 0.6);
  }
}
