// Columns that stay 16-bit floats: which they are, what becomes of the rest, and products with both.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "mq/metrics.hpp"
#include "mq/mq.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::contains;
using mq::test::gauss_weights;
using mq::test::message_of;
using mq::test::view_of;

namespace {

// Normal numbers, some columns times 30.
std::vector<float> matrix_with(std::int64_t rows, std::int64_t cols, const std::vector<std::int64_t>& outliers) {
  std::vector<float> x = gauss_weights(rows * cols, 7);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (const std::int64_t c : outliers) x[static_cast<std::size_t>(r * cols + c)] *= 30;
  }
  return x;
}

std::vector<std::int32_t> columns_of(const QuantizedTensor& q) {
  const auto columns = q.find("outlier_columns")->as<std::int32_t>();
  return {columns.begin(), columns.end()};
}

double sqnr_db(const std::vector<float>& x, const Shape& shape, const char* spec) {
  return measure(view_of(x, shape), dequantize(quantize(view_of(x, shape), parse_spec(spec))).view()).sqnr_db();
}

// The same tensor without its outlier columns, which are 0 then.
QuantizedTensor integers_of(const QuantizedTensor& q, const char* spec) {
  std::vector<QuantizedTensor::Part> parts;
  for (const auto& part : q.parts()) {
    if (!part.name.starts_with("outlier")) parts.push_back(part);
  }
  return {parse_spec(spec), q.shape(), parts};
}

struct Product {
  std::int64_t m, n, k;
  std::vector<std::int64_t> outliers;
  std::vector<float> w = matrix_with(n, k, outliers), x = matrix_with(m, k, outliers);
  std::vector<float> bias = gauss_weights(n, 3);
  Shape x_shape{m, k};

  QuantizedTensor weights(const char* spec) const { return quantize(view_of(w, Shape{n, k}), parse_spec(spec)); }

  std::vector<float> run(const PackedWeights& packed, const std::vector<float>& input, MatmulOptions options) const {
    std::vector<float> y(static_cast<std::size_t>(m * n));
    options.bias = bias;
    matmul(view_of(input, x_shape), packed, y, options);
    return y;
  }

  double error_db(const std::vector<float>& y) const {
    double noise = 0, signal = 0;
    for (std::int64_t r = 0; r < m; ++r) {
      for (std::int64_t o = 0; o < n; ++o) {
        double exact = static_cast<double>(bias[static_cast<std::size_t>(o)]);
        for (std::int64_t i = 0; i < k; ++i) {
          exact += static_cast<double>(x[static_cast<std::size_t>(r * k + i)]) *
                   static_cast<double>(w[static_cast<std::size_t>(o * k + i)]);
        }
        const double d = static_cast<double>(y[static_cast<std::size_t>(r * n + o)]) - exact;
        noise += d * d;
        signal += exact * exact;
      }
    }
    return 10 * std::log10(signal / noise);
  }
};

const ActivationSpec kDynamic{};

}  // namespace

TEST_CASE("outliers: the columns of the largest magnitudes stay float16, the rest has scales of its own") {
  const std::vector<float> x = matrix_with(8, 64, {3, 17});
  const Shape shape{8, 64};
  const QuantizedTensor q = quantize(view_of(x, shape), parse_spec("int8_outliers:o2"));
  CHECK(columns_of(q) == std::vector<std::int32_t>{3, 17});
  std::vector<float> rest = x;
  for (std::size_t r = 0; r < 8; ++r) rest[r * 64 + 3] = rest[r * 64 + 17] = 0;
  const QuantizedTensor plain = quantize(view_of(rest, shape), parse_spec("int8"));
  CHECK(std::ranges::equal(q.codes().bytes(), plain.codes().bytes()));
  CHECK(q.qparams() == plain.qparams());
  const Tensor y = dequantize(q), expected = dequantize(plain);
  const Tensor halves = dequantize(quantize(view_of(x, shape), parse_spec("fp16")));
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i);
    const bool is_outlier = i % 64 == 3 || i % 64 == 17;
    CHECK(y.as<float>()[i] == (is_outlier ? halves : expected).as<float>()[i]);
  }
}

TEST_CASE("outliers: of equals the first, and statistics before magnitudes") {
  const std::vector<float> same(4 * 32, 1.0f);
  CHECK(columns_of(quantize(view_of(same, Shape{4, 32}), parse_spec("int4_outliers:g32:o3"))) ==
        std::vector<std::int32_t>{0, 1, 2});
  const std::vector<float> x = matrix_with(4, 32, {3, 17});
  std::vector<float> importance(32, 1.0f);
  importance[30] = importance[5] = 9;
  const SearchOptions search{.objective = Objective::Importance, .importance = importance};
  for (const char* spec : {"int8_outliers:o2", "int4_outliers:g32:asym:o2", "int4_outliers:g32:o2"}) {
    CHECK(columns_of(quantize(view_of(x, Shape{4, 32}), parse_spec(spec), search)) == std::vector<std::int32_t>{5, 30});
    CHECK(columns_of(quantize(view_of(x, Shape{4, 32}), parse_spec(spec))) == std::vector<std::int32_t>{3, 17});
  }
}

TEST_CASE("outliers: shapes of odd sizes") {
  for (const Shape& shape : {Shape{3, 5, 7}, Shape{1, 9}, Shape{2, 3, 1}, Shape{300, 2}}) {
    CAPTURE(to_string(shape));
    CHECK(sqnr_db(gauss_weights(numel(shape), 4), shape, "int8_outliers:o1") > 38);
    CHECK(sqnr_db(gauss_weights(numel(shape), 4), shape, "int3_outliers:channel:asym:o1") > 9);
  }
}

TEST_CASE("outliers: what a few columns cost the rest is gained back") {
  const Shape shape{64, 1024};
  const std::vector<float> x = matrix_with(64, 1024, {1, 100, 500, 1023});
  CHECK(sqnr_db(x, shape, "int8_outliers:o4") > sqnr_db(x, shape, "int8") + 15);
  CHECK(sqnr_db(x, shape, "int4_outliers:g128:o4") > sqnr_db(x, shape, "int4:g128") + 10);
  CHECK(bits_per_weight(parse_spec("int8_outliers:o4"), shape) < 8.2);
}

TEST_CASE("outliers: what cannot be split is refused") {
  for (const char* spec : {"int8_outliers:tensor", "int8_outliers:o0", "int8_outliers:o", "int8:o2",
                           "int8_outliers:o2:o3", "int8_outliers:channel=1", "int8_outliers:b32x32"}) {
    CAPTURE(spec);
    CHECK(code_of([&] { parse_spec(spec); }) == ErrorCode::Usage);
  }
  CHECK(to_string(parse_spec("int4_outliers:g32:asym")) == "int4_outliers:g32:asym:o16");
  const std::vector<float> x = gauss_weights(4 * 32, 1);
  const QuantSpec two = parse_spec("int8_outliers:o2");
  CHECK(contains(message_of([&] {
                   quantize(view_of(x, Shape{4, 32}), parse_spec("int8_outliers:o32"));
                 }),
                 "fewer than 32"));
  CHECK(code_of([&] { quantize(view_of(x, Shape{4, 32}), two, QParams{{1, 1, 1, 1}, {}}); }) == ErrorCode::Usage);
  for (const float bad : {1e6f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> with = x;
    with[40] = bad;
    CHECK(code_of([&] { quantize(view_of(with, Shape{4, 32}), two); }) == ErrorCode::Numeric);
  }
}

TEST_CASE("outliers: a product is that of the integers and, column by column, that of the outliers") {
  const Product p{.m = 5, .n = 37, .k = 128, .outliers = {0, 66, 127}};
  std::vector<float> rest = p.x;
  for (std::size_t r = 0; r < 5; ++r) {
    for (const std::size_t c : {0, 66, 127}) rest[r * 128 + c] = 0;
  }
  struct Case {
    const char *split, *integers;
  };
  // Groups of 8 are not packed.
  for (const Case& c : {Case{"int8_outliers:o3", "int8"}, Case{"int4_outliers:g32:asym:o3", "int4:g32:asym"},
                        Case{"int4_outliers:g8:o3", "int4:g8"}}) {
    CAPTURE(c.split);
    const QuantizedTensor q = p.weights(c.split);
    REQUIRE(columns_of(q) == std::vector<std::int32_t>{0, 66, 127});
    const Tensor values = dequantize(q);
    for (const bool quantized : {false, true}) {
      MatmulOptions options;
      if (quantized) options.activations = kDynamic;
      const std::vector<float> y = p.run(pack_for_matmul(q), p.x, options);
      std::vector<float> expected = p.run(pack_for_matmul(integers_of(q, c.integers)), rest, options);
      for (std::size_t r = 0; r < 5; ++r) {
        for (const std::size_t column : {0, 66, 127}) {
          for (std::size_t n = 0; n < 37; ++n) {
            expected[r * 37 + n] += p.x[r * 128 + column] * values.as<float>()[n * 128 + column];
          }
        }
      }
      CHECK(y == expected);
    }
  }
}

TEST_CASE("outliers: activations with large columns are quantized without them") {
  const Product p{.m = 16, .n = 64, .k = 512, .outliers = {7, 300}};
  MatmulOptions options;
  options.activations = kDynamic;
  const double split = p.error_db(p.run(pack_for_matmul(p.weights("int8_outliers:o2")), p.x, options));
  const double whole = p.error_db(p.run(pack_for_matmul(p.weights("int8")), p.x, options));
  CAPTURE(split);
  CAPTURE(whole);
  CHECK(split > whole + 15);
}

TEST_CASE("outliers: packed bytes and layers give the same product; columns that do not exist are refused") {
  const Product p{.m = 3, .n = 20, .k = 96, .outliers = {2, 9}};
  const QuantizedTensor q = p.weights("int8_outliers:o2+int8");
  const PackedWeights packed = pack_for_matmul(q);
  MatmulOptions options;
  options.activations = kDynamic;
  const std::vector<float> y = p.run(packed, p.x, options);
  Buffer kept(packed.bytes().size());
  std::memcpy(kept.data(), packed.bytes().data(), kept.size());
  CHECK(p.run(open_packed_weights(kept.span()), p.x, options) == y);

  const QuantizedLinear linear(q, {.bias = p.bias});
  std::vector<float> forward(y.size());
  linear.forward(std::span<const float>(p.x), std::span<float>(forward));
  CHECK(forward == y);

  // The columns are the section before the last: 2 numbers in 64 bytes, then 2 rows of 20 floats.
  const std::size_t at = kept.size() - 192 - 64;
  const std::int32_t columns[2] = {2, 9};
  REQUIRE(std::memcmp(kept.data() + at, columns, sizeof columns) == 0);
  for (const std::int32_t bad : {2, 96, -1}) {
    std::memcpy(kept.data() + at + sizeof bad, &bad, sizeof bad);
    CHECK(code_of([&] { open_packed_weights(kept.span()); }) == ErrorCode::Corrupt);
  }
  const std::uint64_t many = 96;
  std::memcpy(kept.data() + 48, &many, sizeof many);
  CHECK(code_of([&] { open_packed_weights(kept.span()); }) == ErrorCode::Corrupt);

  const std::vector<float> image(4 * 2 * 3 * 3, 1.0f);
  const QuantizedTensor conv = quantize(view_of(image, Shape{4, 2, 3, 3}), parse_spec("int8_outliers:o2"));
  CHECK(contains(message_of([&] { QuantizedConv2d(conv, Conv2dGeometry{}); }), "outlier columns"));
}
