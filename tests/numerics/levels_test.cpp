// Codes of uneven levels: by hand, and the error that they must reach.
#include <doctest/doctest.h>

#include <array>
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

std::vector<int> codes(const QuantizedTensor& tensor) {
  std::vector<int> list;
  for (const std::byte b : tensor.codes().bytes()) list.push_back(static_cast<int>(b));
  return list;
}

double sqnr_db(double (Random::*weight)(), const char* spec, Effort effort) {
  constexpr int kDraws = 4;
  const Shape shape{64, 1024};
  double sum = 0;
  for (std::uint64_t draw = 1; draw <= kDraws; ++draw) {
    Random random(draw);
    std::vector<float> x(static_cast<std::size_t>(numel(shape)));
    for (float& value : x) value = static_cast<float>((random.*weight)());
    const TensorView view = view_of(x, shape);
    const QuantizedTensor quantized = quantize(view, parse_spec(spec), {.effort = effort});
    sum += measure(view, dequantize(quantized).view()).sqnr_db() / kDraws;
  }
  return sum;
}

}  // namespace

TEST_CASE("nf4: codes by hand, ties to the lower level, and back") {
  std::vector<float> x(64, 0.0f);
  x[0] = -2.0f;  // the scale is 2
  x[1] = 2 * -0.0075f;
  x[2] = 2 * 0.5396f;
  x[3] = 2.0f;
  x[4] = 2 * ((0.07958029955625534f + 0.0f) / 2);
  const QuantizedTensor q = quantize(view_of(x, {1, 64}), parse_spec("nf4"));
  CHECK(q.qparams().scales == std::vector<float>{2.0f});
  const std::vector<int> found = codes(q);
  CHECK(std::vector<int>(found.begin(), found.begin() + 6) == std::vector<int>{0, 7, 13, 15, 7, 7});
  const Tensor y = dequantize(q);
  CHECK(y.as<float>()[0] == -2.0f);
  CHECK(y.as<float>()[2] == 2 * 0.5626170039176941f);
}

TEST_CASE("fp4: codes are those of bitsandbytes, not in the order of their values") {
  const std::array<float, 8> magnitudes = {
      0.0f, 0.005208333488553762f, 0.6666666865348816f, 1.0f, 0.3333333432674408f, 0.5f, 0.1666666716337204f, 0.25f};
  std::vector<float> x(64, 0.0f);
  for (std::size_t i = 0; i < 8; ++i) {
    x[i] = magnitudes[i];
    x[8 + i] = -magnitudes[i];
  }
  const QuantizedTensor q = quantize(view_of(x, {1, 64}), parse_spec("fp4"));
  const std::vector<int> found = codes(q);
  for (int i = 0; i < 16; ++i) CHECK(found[static_cast<std::size_t>(i)] == i);
  const Tensor y = dequantize(q);
  for (std::size_t i = 0; i < 64; ++i) CHECK(y.as<float>()[i] == x[i]);
}

TEST_CASE("mxfp4: the power of two below the largest value, ties to the even code, saturation") {
  std::vector<float> x(64, 0.0f);
  const std::array<float, 10> first = {7.9f, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f, -0.1f, -6.0f};
  std::copy(first.begin(), first.end(), x.begin());
  x[32] = 0x1p-130f;  // scales do not go below 2^-127
  const QuantizedTensor q = quantize(view_of(x, {1, 64}), parse_spec("mxfp4"));
  CHECK(q.qparams().scales == std::vector<float>{1.0f, 0x1p-127f});
  const std::vector<int> found = codes(q);
  CHECK(std::vector<int>(found.begin(), found.begin() + 10) == std::vector<int>{7, 0, 2, 2, 4, 4, 6, 6, 8, 15});
  const std::vector<float> zeros(32, 0.0f);
  CHECK(quantize(view_of(zeros, {1, 32}), parse_spec("mxfp4")).qparams().scales == std::vector<float>{1.0f});
}

TEST_CASE("nvfp4: scales of 16 weights under the multiplier of the tensor, by hand") {
  std::vector<float> x(48, 0.0f);
  x[0] = 6.0f * 448;  // the multiplier is 1
  x[1] = -448 * 1.6f;
  x[16] = 6.0f;
  x[17] = 0.75f;
  x[18] = -0.2f;
  const QuantizedTensor q = quantize(view_of(x, {1, 48}), parse_spec("nvfp4"));
  CHECK(q.find("global_scale")->as<float>()[0] == 1.0f);
  CHECK(q.qparams().scales == std::vector<float>{448.0f, 1.0f, 0.125f});  // a block of zeros has 0.125
  const std::vector<int> found = codes(q);
  CHECK(std::vector<int>(found.begin(), found.begin() + 2) == std::vector<int>{7, 11});
  CHECK(std::vector<int>(found.begin() + 16, found.begin() + 19) == std::vector<int>{7, 2, 8});
  const Tensor y = dequantize(q);
  CHECK(y.as<float>()[1] == -448 * 1.5f);
  CHECK(y.as<float>()[17] == 1.0f);
  const std::vector<float> zeros(32, 0.0f);
  const QuantizedTensor nothing = quantize(view_of(zeros, {1, 32}), parse_spec("nvfp4"), SearchOptions{});
  CHECK(nothing.find("global_scale")->as<float>()[0] == 1.0f);
  CHECK(dequantize(nothing).as<float>()[31] == 0.0f);
}

// The bars of one draw; for heavy tails, whose draws differ, the gain over rounding with the scale of the range.
TEST_CASE("levels: signal to noise ratios of normal and heavy-tailed weights") {
  const struct {
    const char* spec;
    const char* searched;
    double gauss_db, gauss_search_db, student_db, student_search_db;
  } rows[] = {{"nf4", "nf4:signed", 20.74, 21.69, 19.65, 20.43},
              {"mxfp4", "mxfp4", 18.82, 19.04, 18.09, 18.35},
              {"nvfp4", "nvfp4", 20.48, 21.80, 20.67, 21.70}};
  for (const auto& row : rows) {
    CAPTURE(std::string(row.spec));
    CHECK(sqnr_db(&Random::gauss, row.spec, Effort::Fast) == doctest::Approx(row.gauss_db).epsilon(0.005));
    CHECK(sqnr_db(&Random::gauss, row.searched, Effort::Search) > row.gauss_search_db - 0.1);
    const double gain =
        sqnr_db(&Random::student5, row.searched, Effort::Search) - sqnr_db(&Random::student5, row.spec, Effort::Fast);
    CHECK(gain > row.student_search_db - row.student_db - 0.1);
  }
  CHECK(sqnr_db(&Random::gauss, "nf4:signed", Effort::Search) >
        sqnr_db(&Random::gauss, "nf4:signed", Effort::Max) - 0.1);
  CHECK(sqnr_db(&Random::gauss, "nf4", Effort::Search) > sqnr_db(&Random::gauss, "nf4", Effort::Max) - 0.05);
  CHECK(sqnr_db(&Random::gauss, "fp4", Effort::Search) > sqnr_db(&Random::gauss, "fp4", Effort::Max) - 0.05);
}

TEST_CASE("levels: options that these encodings do not have are refused") {
  for (const char* text : {"nf4:asym", "nf4:full", "fp4:signed", "mxfp4:signed", "nf4+int8"}) {
    CAPTURE(std::string(text));
    CHECK(code_of([&] { parse_spec(text); }) == ErrorCode::Usage);
  }
  QuantSpec spec = parse_spec("mxfp4");
  spec.scale_dtype = DType::Float16;
  const std::vector<float> x(32, 1.0f);
  CHECK(code_of([&] { quantize(view_of(x, {1, 32}), spec); }) == ErrorCode::Usage);
  CHECK(to_string(parse_spec("nf4:signed:g32")) == "nf4:g32:signed");
}
