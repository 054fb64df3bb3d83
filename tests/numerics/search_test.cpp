// What searching for scales gains, on 65,536 weights with scales stored as float16.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::gauss_weights;
using mq::test::message_of;
using mq::test::Random;
using mq::test::view_of;

namespace {

double sqnr_db(TensorView view, const std::string& text, const SearchOptions& options) {
  QuantSpec spec = parse_spec(text);
  spec.scale_dtype = DType::Float16;
  return measure(view, dequantize(quantize(view, spec, options)).view()).sqnr_db();
}

std::vector<float> weights(double (Random::*weight)(), std::int64_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = static_cast<float>((random.*weight)());
  return x;
}

// What the best scales reach, and what rounding to the nearest does with scales of the range: decibels of one draw
// each.
struct Row {
  std::string spec;
  std::string nearest;
  double gauss_db, gauss_nearest_db;
  double student_db, student_nearest_db;
};

const std::array<Row, 4> kRows{{
    {"int4:g128:signed", "int4:g128:narrow", 20.35, 18.65, 17.20, 15.39},
    {"int4:g32:signed", "int4:g32:narrow", 21.87, 20.31, 19.82, 18.30},
    {"int4:g128:asym", "int4:g128:asym", 20.40, 19.99, 17.92, 17.55},
    {"int4:g32:asym", "int4:g32:asym", 22.30, 21.90, 20.97, 20.66},
}};

}  // namespace

TEST_CASE("search: every layout reaches the signal to noise ratio of its best scales") {
  constexpr int kDraws = 8;
  const Shape shape{64, 1024};
  for (const Row& row : kRows) {
    double gauss = 0, gain = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto seed = static_cast<std::uint64_t>(draw) + 1;
      const std::vector<float> normal = weights(&Random::gauss, numel(shape), seed);
      const std::vector<float> student = weights(&Random::student5, numel(shape), seed);
      gauss += sqnr_db(view_of(normal, shape), row.spec, {}) / kDraws;
      gain += (sqnr_db(view_of(student, shape), row.spec, {}) -
               sqnr_db(view_of(student, shape), row.nearest, {.effort = Effort::Fast})) /
              kDraws;
    }
    CAPTURE(row.spec);
    CAPTURE(gauss);
    CAPTURE(gain);
    CHECK(gauss > row.gauss_db - 0.1);
    // What heavy tails give differs from draw to draw by more than a decibel, the gain on the same draw hardly.
    CHECK(gain > row.student_db - row.student_nearest_db - 0.1);
  }
}

TEST_CASE("search: the grid is within 0.1 dB of the best of all scales") {
  const Shape shape{16, 512};
  for (const char* spec : {"int2:g64:full", "int3:g64:full", "int3:g128:signed", "int4:g32:full", "int4:g128:signed",
                           "int4:g128:narrow", "int4:channel:full", "int5:g128:full", "int6:g64:signed",
                           "uint4:g32:full", "int4:g128:asym", "uint4:g32:asym", "int3:g64:asym"}) {
    for (const auto weight : {&Random::gauss, &Random::student5}) {
      const std::vector<float> x = weights(weight, numel(shape), 7);
      const double grid = sqnr_db(view_of(x, shape), spec, {});
      const double best = sqnr_db(view_of(x, shape), spec, {.effort = Effort::Max});
      CAPTURE(std::string(spec));
      CAPTURE(grid);
      CAPTURE(best);
      CHECK(grid > best - 0.1);
      CHECK(grid < best + 0.02);  // only the rounding of the scale is left to chance
      CHECK(best > sqnr_db(view_of(x, shape), spec, {.effort = Effort::Fast}));
    }
  }
}

TEST_CASE("search: weights move the error to where they are small") {
  const Shape shape{32, 512};
  const std::vector<float> x = weights(&Random::gauss, numel(shape), 3);
  std::vector<float> importance(512);
  for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = i % 8 == 0 ? 100.0f : 1.0f;
  const SearchOptions options{.objective = Objective::Importance, .importance = importance};
  const auto weighted_error = [&](const SearchOptions& how) {
    const Tensor y = dequantize(quantize(view_of(x, shape), parse_spec("int3:g128:full"), how));
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double d = static_cast<double>(x[i]) - static_cast<double>(y.as<float>()[i]);
      sum += static_cast<double>(importance[i % 512]) * d * d;
    }
    return sum;
  };
  CHECK(weighted_error(options) < 0.95 * weighted_error({}));
  for (const Objective objective : {Objective::Magnitude, Objective::Square}) {
    const double db = sqnr_db(view_of(x, shape), "int4:g128:full", {.objective = objective});
    CHECK(db < sqnr_db(view_of(x, shape), "int4:g128:full", {}));
    CHECK(db > sqnr_db(view_of(x, shape), "int4:g128:narrow", {.effort = Effort::Fast}));
  }
}

TEST_CASE("search: importance that does not fit is refused") {
  const Shape shape{2, 64};
  const std::vector<float> x = gauss_weights(128, 1);
  std::vector<float> importance(63, 1.0f);
  const auto quantized = [&] {
    return quantize(view_of(x, shape), parse_spec("int4:g32"),
                    {.objective = Objective::Importance, .importance = importance});
  };
  CHECK(code_of(quantized) == ErrorCode::Usage);
  CHECK(message_of(quantized).find("expected 64 values, found 63") != std::string::npos);
  importance.assign(64, 1.0f);
  importance[5] = -1.0f;
  CHECK(message_of(quantized).find("column 5") != std::string::npos);
}

TEST_CASE("search: scales of one range for many rows, and of 8 bits for a whole row, stay those of the range") {
  const Shape shape{8, 512};
  const std::vector<float> x = gauss_weights(numel(shape), 2);
  for (const char* text : {"int8", "int8:tensor", "int4:tensor", "int4:channel=1", "int4:b4x128"}) {
    const QuantSpec spec = parse_spec(text);
    CHECK(quantize(view_of(x, shape), spec, SearchOptions{}).qparams() == quantize(view_of(x, shape), spec).qparams());
  }
  const QuantSpec spec = parse_spec("int8");
  CHECK(quantize(view_of(x, shape), spec, {.effort = Effort::Max}).qparams() !=
        quantize(view_of(x, shape), spec).qparams());
}

TEST_CASE("search: weights that are codes times a scale come back") {
  const Shape shape{4, 256};
  std::vector<float> x(static_cast<std::size_t>(numel(shape)));
  Random random(4);
  for (float& v : x) v = 0.0625f * static_cast<float>(random.below(15) - 7);
  for (const char* spec : {"int4:g32", "int4:g64:asym", "int5:g128:signed", "int4:channel:narrow"}) {
    const Tensor y = dequantize(quantize(view_of(x, shape), parse_spec(spec), SearchOptions{}));
    CAPTURE(spec);
    CHECK(std::equal(x.begin(), x.end(), y.as<float>().begin()));
  }
}
