// Scales that are quantized themselves: their codes by hand, what they cost, what they are refused for.
#include <doctest/doctest.h>

#include <cmath>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "src/codecs/double_quant.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::message_of;
using mq::test::Random;
using mq::test::view_of;

namespace {

const Shape kShape{96, 1024};  // 1536 blocks of 64: six of 256 scales

std::vector<float> normal_weights() {
  Random random(11);
  std::vector<float> x(static_cast<std::size_t>(numel(kShape)));
  for (float& value : x) value = static_cast<float>(random.gauss());
  return x;
}

double sqnr_db(const std::vector<float>& x, const char* spec, Effort effort) {
  const TensorView view = view_of(x, kShape);
  const QuantizedTensor quantized = quantize(view, parse_spec(spec), SearchOptions{.effort = effort});
  return measure(view, dequantize(quantized).view()).sqnr_db();
}

}  // namespace

TEST_CASE("double quantization: the levels are bitsandbytes' dynamic map") {
  const auto& levels = nested_levels();
  CHECK(std::is_sorted(levels.begin(), levels.end()));
  CHECK(levels.front() == -0.99296875f);
  CHECK(levels[126] == -5.5e-7f);
  CHECK(levels[127] == 0);
  CHECK(levels[129] == 3.25e-6f);
  CHECK(levels.back() == 1);
}

TEST_CASE("double quantization: offset, scales of 256 and codes by hand") {
  std::vector<float> scales(300, 2.0f);
  scales[0] = 4.0f;
  scales[1] = 0.0f;
  const NestedScales nested = nest_scales(scales);
  CHECK(nested.offset == 2.0f);
  CHECK(nested.absmax == std::vector<float>{2.0f, 0.0f});
  CHECK(nested.codes[0] == 255);
  CHECK(nested.codes[1] == 0);  // -1, of which the nearest level is -0.993
  CHECK(nested.codes[299] == 127);
  const std::vector<float> back = unnest_scales(nested);
  CHECK(back[0] == 4.0f);
  CHECK(back[1] == -0.99296875f * 2.0f + 2.0f);
  CHECK(back[299] == 2.0f);
  CHECK(nest_scales({}).absmax.empty());
}

TEST_CASE("double quantization: fast codes are those of the plain scales, a search takes the stored ones") {
  const std::vector<float> x = normal_weights();
  for (const char* name : {"nf4", "fp4:g128"}) {
    CAPTURE(name);
    const std::string nested = std::string(name) + ":dq";
    const QuantizedTensor plain = quantize(view_of(x, kShape), parse_spec(name));
    const QuantizedTensor twice = quantize(view_of(x, kShape), parse_spec(nested));
    CHECK(std::ranges::equal(plain.codes().bytes(), twice.codes().bytes()));
    const std::vector<float> scales = plain.qparams().scales, rounded = twice.qparams().scales;
    REQUIRE(scales.size() == rounded.size());
    for (std::size_t i = 0; i < scales.size(); ++i) CHECK(rounded[i] == doctest::Approx(scales[i]).epsilon(0.03));
    const double before = sqnr_db(x, name, Effort::Fast), after = sqnr_db(x, nested.c_str(), Effort::Fast);
    CHECK(after < before);
    CHECK(after > before - 0.05);
    CHECK(sqnr_db(x, nested.c_str(), Effort::Search) > sqnr_db(x, name, Effort::Search) - 0.05);
    CHECK(sqnr_db(x, nested.c_str(), Effort::Search) > after + 0.3);
  }
}

TEST_CASE("double quantization: blocks of zeros decode to zeros, NaN is counted once") {
  std::vector<float> x = normal_weights();
  std::fill_n(x.begin(), 640, 0.0f);
  for (const Effort effort : {Effort::Fast, Effort::Search}) {
    const QuantizedTensor q = quantize(view_of(x, kShape), parse_spec("nf4:dq"), SearchOptions{.effort = effort});
    const Tensor y = dequantize(q);
    for (std::size_t i = 0; i < 640; ++i) CHECK(y.as<float>()[i] == 0);
  }
  x[5] = std::nanf("");
  for (const Effort effort : {Effort::Fast, Effort::Search}) {
    const auto encode = [&] { quantize(view_of(x, kShape), parse_spec("nf4:dq"), SearchOptions{.effort = effort}); };
    CHECK(message_of(encode).find("found 1 that are NaN") != std::string::npos);
  }
}

TEST_CASE("double quantization: text, size and what has none") {
  CHECK(to_string(parse_spec("nf4:dq")) == "nf4:g64:dq");
  CHECK(parse_spec("nf4:g64:dq") == parse_spec("nf4:dq"));
  CHECK(parse_spec("nf4:dq") != parse_spec("nf4"));
  CHECK(bits_per_weight(parse_spec("nf4:dq"), kShape) == doctest::Approx(4.127).epsilon(0.001));
  for (const char* spec : {"nf4:g48:dq", "nf4:channel:dq", "nf4:signed:dq", "fp4:g16:dq"}) {
    CAPTURE(spec);
    CHECK(message_of([&] { parse_spec(spec); }).find("g64:dq") != std::string::npos);
  }
  for (const char* spec : {"int4:dq", "mxfp4:dq", "nvfp4:dq"}) {
    CHECK(message_of([&] { parse_spec(spec); }).find("no double quantization") != std::string::npos);
  }
  CHECK(message_of([] { parse_spec("nf4:dq:dq"); }).find("twice") != std::string::npos);
}
