// ggml's blocks as they are written: its own encoder's bytes, and lower error in as many of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "src/codecs/codec.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/gguf_golden.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::from_hex;
using mq::test::gauss_weights;
using mq::test::message_of;
using mq::test::Random;
using mq::test::view_of;

namespace {

constexpr SearchOptions kReference = {.effort = Effort::Reference};

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const SchemeInfo& scheme : schemes()) {
    if (is_quantized_block(scheme.spec.element)) list.emplace_back(scheme.name);
  }
  return list;
}

std::vector<std::uint8_t> encoded(const std::vector<float>& x, const std::string& name, const SearchOptions& options) {
  const Shape shape{1, static_cast<std::int64_t>(x.size())};
  const QuantizedTensor tensor = quantize(view_of(x, shape), parse_spec(name), options);
  const auto bytes = tensor.codes().bytes();
  const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {first, first + bytes.size()};
}

double sqnr_db(const std::vector<float>& x, const std::string& name, const SearchOptions& options) {
  const Shape shape{static_cast<std::int64_t>(x.size()) / 1024, 1024};
  const TensorView view = view_of(x, shape);
  return measure(view, dequantize(quantize(view, parse_spec(name), options)).view()).sqnr_db();
}

}  // namespace

TEST_CASE("ggml encoders: the effort reference gives the bytes of ggml's own encoder, and fast the same") {
  for (const test::GgufGolden& golden : test::kGgufGolden) {
    const std::string name(to_string(golden.dtype));
    const std::vector<std::string> written = names();
    if (std::ranges::find(written, name) == written.end()) continue;
    CAPTURE(name);
    const std::vector<float> x = test::gguf_golden_input(info(golden.dtype).block_numel);
    CHECK(encoded(x, name, kReference) == from_hex(golden.hex));
    CHECK(encoded(x, name, {.effort = Effort::Fast}) == from_hex(golden.hex));
  }
  CHECK(names().size() == 12);
}

TEST_CASE("ggml encoders: the ramp (i - 16) / 4 gives the bytes that the format reference prints") {
  std::vector<float> ramp(32);
  for (int i = 0; i < 32; ++i) ramp[static_cast<std::size_t>(i)] = static_cast<float>(i - 16) / 4;
  CHECK(encoded(ramp, "q4_0", kReference) == from_hex("0038809191a2a2b3b3c4c4d5d5e6e6f7f7f8"));
  const std::vector<std::uint8_t> q8 = encoded(ramp, "q8_0", kReference);
  CHECK(std::vector(q8.begin(), q8.begin() + 6) == from_hex("082881899199"));
  CHECK(std::vector(q8.end() - 2, q8.end()) == from_hex("6f77"));
}

TEST_CASE("ggml encoders: zeros are the bytes that ggml has for them, and come back") {
  const std::vector<float> zeros(256);
  const auto repeated = [](std::size_t n, const char* byte) {
    std::string hex;
    for (std::size_t i = 0; i < n; ++i) hex += byte;
    return hex;
  };
  CHECK(encoded(zeros, "q3_k", kReference) == from_hex(repeated(110, "00")));
  CHECK(encoded(zeros, "q6_k", kReference) == from_hex(repeated(210, "00")));
  CHECK(encoded(zeros, "q4_k", kReference) == from_hex(repeated(144, "00")));
  CHECK(encoded(zeros, "iq4_xs", kReference) == from_hex("0080aaaa00000000" + repeated(128, "88")));
  const std::vector<float> few(32);
  CHECK(encoded(few, "iq4_nl", kReference) == from_hex("0000" + repeated(16, "88")));
  const Shape shape{1, 256};
  for (const std::string& name : names()) {
    CAPTURE(name);
    for (const Effort effort : {Effort::Reference, Effort::Search, Effort::Max}) {
      const Tensor y = dequantize(quantize(view_of(zeros, shape), parse_spec(name), {.effort = effort}));
      CHECK(std::ranges::all_of(y.as<float>(), [](float v) { return v == 0; }));
    }
  }
}

TEST_CASE("ggml encoders: rows that are not whole blocks are refused with what fits") {
  const std::vector<float> x(2 * 96);
  const Shape shape{2, 96};
  const auto refused = [&] { quantize(view_of(x, shape), parse_spec("q4_k"), SearchOptions{}); };
  CHECK(code_of(refused) == ErrorCode::Usage);
  CHECK(message_of(refused).find("expected rows of a multiple of 256 weights, found 96") != std::string::npos);
  CHECK(quantize(view_of(x, shape), parse_spec("q4_0"), SearchOptions{}).codes().bytes().size() == 2 * 3 * 18);
}

TEST_CASE("ggml encoders: scales beyond float16 and parameters from outside are refused") {
  std::vector<float> x = gauss_weights(256, 1);
  for (float& v : x) v *= 1e20f;
  const Shape shape{1, 256};
  for (const std::string& name : names()) {
    CAPTURE(name);
    for (const Effort effort : {Effort::Reference, Effort::Search, Effort::Max}) {
      CHECK(code_of([&] { quantize(view_of(x, shape), parse_spec(name), {.effort = effort}); }) == ErrorCode::Numeric);
    }
  }
  CHECK(code_of([&] { quantize(view_of(x, shape), parse_spec("q4_0"), QParams{}); }) == ErrorCode::Usage);
}

TEST_CASE("ggml encoders: encodings without a foreign encoder refuse the effort reference") {
  const std::vector<float> x = gauss_weights(256, 1);
  const Shape shape{1, 256};
  for (const char* name : {"int8", "int4:g32", "fp8_e4m3", "bf16"}) {
    const std::string text = message_of([&] { quantize(view_of(x, shape), parse_spec(name), kReference); });
    CHECK(text.find("has no foreign encoder to follow: expected the effort fast, search or max") != std::string::npos);
  }
}

namespace {

struct Bar {
  const char* name;
  double gauss_db;         // what a search reaches on normal weights
  double student_gain_db;  // over the reference, on heavy-tailed ones
};

// q4_0 and iq4_nl: the best of all scales; q4_k: multiples of six bits fitted together.
constexpr std::array<Bar, 12> kBars{{{"q8_0", 46.45, 0.8},
                                     {"q4_0", 21.87, 0.4},
                                     {"q4_1", 23.25, 1.05},
                                     {"q5_0", 27.95, 0.4},
                                     {"q5_1", 29.6, 1.1},
                                     {"q2_k", 11.75, 1.4},
                                     {"q3_k", 16.85, 0.4},
                                     {"q4_k", 23.12, 0.23},
                                     {"q5_k", 29.3, 0.45},
                                     {"q6_k", 35.45, 0.4},
                                     {"iq4_nl", 22.71, 0.3},
                                     {"iq4_xs", 22.6, 0.3}}};

std::vector<float> draw(double (Random::*weight)(), std::int64_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = static_cast<float>((random.*weight)());
  return x;
}

// Weights as they are met, and some that are not.
std::vector<std::vector<float>> varied_weights() {
  constexpr std::size_t kNumel = 8192;
  std::vector<std::vector<float>> list{draw(&Random::gauss, kNumel, 1), draw(&Random::student5, kNumel, 2)};
  const auto made = [&](auto&& of) {
    std::vector<float> x = draw(&Random::gauss, kNumel, 3);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = of(x[i], i);
    list.push_back(std::move(x));
  };
  made([](float v, std::size_t) { return std::fabs(v); });
  made([](float v, std::size_t) { return -std::fabs(v) - 0.5f; });
  made([](float v, std::size_t) { return v * v * v; });
  made([](float v, std::size_t) { return std::floor(4 * v); });
  made([](float v, std::size_t) { return v + 10; });
  made([](float v, std::size_t i) { return i / 32 % 3 == 0 ? 0.0f : v; });
  made([](float v, std::size_t i) { return i % 64 == 5 ? 50 * v : v; });
  made([](float v, std::size_t i) { return v * (i / 16 % 16 == 3 ? 100.0f : 0.01f); });
  made([](float v, std::size_t) { return 1e-5f * v; });
  made([](float v, std::size_t) { return 1e3f * v; });
  made([](float, std::size_t i) { return i / 256 % 2 == 0 ? 0.3f : -0.7f; });
  made([](float v, std::size_t i) { return i % 256 == 17 ? v : 0.0f; });
  return list;
}

}  // namespace

TEST_CASE("ggml encoders: a search reaches the signal to noise ratio of its bars") {
  constexpr int kDraws = 4;
  for (const Bar& bar : kBars) {
    const std::string name(bar.name);
    CAPTURE(name);
    double gauss = 0, gain = 0;
    for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
      const std::vector<float> student = draw(&Random::student5, 65536, seed);
      gauss += sqnr_db(draw(&Random::gauss, 65536, seed), name, {}) / kDraws;
      gain += (sqnr_db(student, name, {}) - sqnr_db(student, name, kReference)) / kDraws;
    }
    CAPTURE(gauss);
    CAPTURE(gain);
    CHECK(gauss > bar.gauss_db - 0.1);
    CHECK(gain > bar.student_gain_db - 0.1);
  }
}

TEST_CASE("ggml encoders: a search loses to the reference on no weights, and more effort to a search on none") {
  const std::vector<std::vector<float>> tensors = varied_weights();
  for (const std::string& name : names()) {
    CAPTURE(name);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      CAPTURE(i);
      const double reference = sqnr_db(tensors[i], name, kReference), search = sqnr_db(tensors[i], name, {});
      CHECK(search >= reference);
      CHECK(sqnr_db(tensors[i], name, {.effort = Effort::Max}) >= reference);
    }
    CHECK(sqnr_db(tensors[0], name, {.effort = Effort::Max}) > sqnr_db(tensors[0], name, {}) - 0.001);
  }
}

TEST_CASE("ggml encoders: the best of all scales is as good as that of a dense grid") {
  const std::vector<float> values{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<float> x = gauss_weights(32, seed);
    double best = 1e9;
    for (int k = -20000; k <= 20000; ++k) {
      const double d = 1e-6 * k * 2;
      double error = 0;
      for (const float v : x) {
        double least = 1e9;
        for (const float value : values) {
          const double off = static_cast<double>(v) - d * static_cast<double>(value);
          least = std::min(least, off * off);
        }
        error += least;
      }
      best = std::min(best, error);
    }
    const Shape shape{1, 32};
    const TensorView view = view_of(x, shape);
    const SearchOptions max{.effort = Effort::Max};
    CHECK(measure(view, dequantize(quantize(view, parse_spec("iq4_nl"), max)).view()).error_sq < 1.001 * best);
  }
}

TEST_CASE("ggml encoders: weights move the error to where they are small") {
  const Shape shape{32, 1024};
  const std::vector<float> x = draw(&Random::gauss, numel(shape), 3);
  std::vector<float> importance(1024);
  for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = i % 8 == 0 ? 100.0f : 1.0f;
  const SearchOptions options{.objective = Objective::Importance, .importance = importance};
  for (const std::string& name : names()) {
    CAPTURE(name);
    const auto weighted_error = [&](const SearchOptions& how) {
      const Tensor y = dequantize(quantize(view_of(x, shape), parse_spec(name), how));
      double sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double off = static_cast<double>(x[i]) - static_cast<double>(y.as<float>()[i]);
        sum += static_cast<double>(importance[i % 1024]) * off * off;
      }
      return sum;
    };
    CHECK(weighted_error(options) < 0.95 * weighted_error({}));
    for (const Objective objective : {Objective::Magnitude, Objective::Square}) {
      CHECK(sqnr_db(x, name, {.objective = objective}) < sqnr_db(x, name, {}));
    }
  }
}

TEST_CASE("ggml encoders: bytes are the same with every instruction set and compiler") {
  std::uint64_t hash = 0xcbf29ce484222325;
  const std::vector<std::vector<float>> tensors = varied_weights();
  const auto add = [&](const std::vector<float>& x, const std::string& name, const SearchOptions& options) {
    for (const std::uint8_t byte : encoded(x, name, options)) hash = (hash ^ byte) * 0x100000001b3;
  };
  for (const std::string& name : names()) {
    for (const std::vector<float>& x : tensors) {
      add(x, name, kReference);
      add(x, name, {});
      add(x, name, {.objective = Objective::Magnitude});
    }
    add(tensors[1], name, {.effort = Effort::Max});
  }
  CHECK(hash == 4791357983114677552u);
}
