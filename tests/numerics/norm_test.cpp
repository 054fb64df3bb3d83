// Searches for other errors than the squared one: the objective lp:P.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "mq/quantize.hpp"
#include "tests/numerics/random.hpp"

using namespace mq;
using mq::test::Random;
using mq::test::view_of;

namespace {

double norm_of(const std::vector<float>& x, const QuantSpec& spec, const SearchOptions& search, double p) {
  const Shape shape{16, 512};
  const Tensor y = dequantize(quantize(view_of(x, shape), spec, search));
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += std::pow(std::fabs(static_cast<double>(x[i]) - static_cast<double>(y.as<float>()[i])), p);
  }
  return sum;
}

}  // namespace

TEST_CASE("lp:P leaves less of its norm than squared errors do, in every encoding that searches") {
  Random random(5);
  std::vector<float> x(16 * 512);
  for (float& value : x) value = static_cast<float>(random.student5());
  const struct {
    const char* spec;
    double below_1, below_4;  // of the norm that squared errors leave
  } rows[] = {{"int4:g128:full", 0.995, 0.97},
              {"int3:g64:signed", 0.995, 0.97},
              {"int4:g32:asym", 1.0, 0.98},
              {"nf4", 1.0, 0.98},
              {"mxfp4", 1.0, 1.0},
              {"nvfp4", 1.0, 1.0},
              {"mxfp8", 1.0, 1.0},
              {"hqq4", 0.999, 0.98},
              {"q4_0", 0.999, 0.99},
              {"q4_k", 1.0, 1.0},
              {"iq4_nl", 1.0, 1.0}};
  for (const auto& row : rows) {
    const QuantSpec spec = parse_spec(row.spec);
    for (const float p : {1.0f, 4.0f}) {
      const SearchOptions search{.objective = {.kind = Objective::Kind::Norm, .norm = p}};
      const double ratio =
          norm_of(x, spec, search, static_cast<double>(p)) / norm_of(x, spec, {}, static_cast<double>(p));
      CAPTURE(std::string(row.spec));
      CAPTURE(p);
      CAPTURE(ratio);
      CHECK(ratio <= (p == 1.0f ? row.below_1 : row.below_4));
    }
  }
}

TEST_CASE("lp:P: bytes are the same with every instruction set and compiler") {
  const Shape shape{16, 512};
  Random random(11);
  std::vector<float> x(16 * 512);
  for (float& value : x) value = static_cast<float>(random.student5());
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char* text : {"int4:g128:full", "int4:g32:asym", "nf4", "mxfp8", "nvfp4", "hqq4", "q4_k", "q6_k"}) {
    for (const float p : {0.5f, 1.3f, 4.0f}) {
      const SearchOptions search{.objective = {.kind = Objective::Kind::Norm, .norm = p}};
      const QuantizedTensor quantized = quantize(view_of(x, shape), parse_spec(text), search);
      for (const QuantizedTensor::Part& part : quantized.parts()) {
        for (const std::byte b : part.tensor.bytes()) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
      }
    }
  }
  CHECK(hash == 1600737397458140430u);
}

TEST_CASE("lp:2 is the squared error") {
  Random random(6);
  std::vector<float> x(16 * 512);
  for (float& value : x) value = static_cast<float>(random.gauss());
  const SearchOptions search{.objective = {.kind = Objective::Kind::Norm, .norm = 2}};
  const QuantSpec spec = parse_spec("int4:g128:full");
  CHECK(norm_of(x, spec, search, 2) == doctest::Approx(norm_of(x, spec, {}, 2)).epsilon(1e-4));
}

TEST_CASE("objectives have one text each") {
  for (const char* text : {"mse", "magnitude", "x2", "importance", "lp:1", "lp:0.5", "lp:2.5", "lp:8"}) {
    const std::optional<Objective> objective = parse_objective(text);
    REQUIRE(objective);
    CHECK(to_string(*objective) == text);
  }
  for (const char* text : {"", "lp", "lp:", "lp:0.4", "lp:9", "lp:nan", "lp:2x", "lp: 2", "mae", "MSE"}) {
    CAPTURE(std::string(text));
    CHECK(!parse_objective(text));
  }
}
