// Products against sums written out from codes, scales and zero points.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mq/matmul.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;

namespace {

Tensor tensor_of(const std::vector<float>& values, Shape shape) {
  Buffer bytes(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return Tensor(DType::Float32, std::move(shape), std::move(bytes));
}

QuantizedTensor weights_of(std::int64_t n, std::int64_t k, const std::string& spec) {
  return quantize(tensor_of(test::gauss_weights(n * k, 1), {n, k}).view(), parse_spec(spec));
}

ActivationSpec per_token(Mapping mapping) {
  return {.element = "int8", .per_token = true, .mapping = mapping};
}

// The block of k that an element belongs to, as the contract has it.
std::int64_t block_of(const QuantSpec& spec, std::int64_t k) {
  std::int64_t size = k;
  if (const auto* group = std::get_if<PerGroup>(&spec.granularity)) size = group->group_size;
  if (const auto* block = std::get_if<PerBlock>(&spec.granularity)) size = block->cols;
  return std::min<std::int64_t>({size, k, 32768});
}

struct Product {
  QuantizedTensor weights;
  std::vector<float> x;
  std::vector<float> bias;
  std::int64_t n, k;

  Product(std::int64_t m, std::int64_t rows, std::int64_t cols, const std::string& spec)
      : weights(weights_of(rows, cols, spec)),
        x(test::gauss_weights(m * cols, 2)),
        bias(test::gauss_weights(rows, 3)),
        n(rows),
        k(cols) {}

  std::size_t rows() const { return x.size() / static_cast<std::size_t>(k); }

  std::vector<float> run(const MatmulOptions& options = {}) const {
    std::vector<float> y(rows() * static_cast<std::size_t>(n));
    const Tensor activations = tensor_of(x, {static_cast<std::int64_t>(rows()), k});
    matmul(activations.view(), pack_for_matmul(weights), y, options);
    return y;
  }

  // q - z and s of a weight, by the decoded value of a tensor with the scale 1 where that is possible.
  float scale(std::int64_t row, std::int64_t col) const {
    const QParams params = weights.qparams();
    const auto across = static_cast<std::int64_t>(params.scales.size());
    if (across == 1) return params.scales[0];
    if (std::holds_alternative<PerChannel>(weights.spec().granularity))
      return params.scales[static_cast<std::size_t>(row)];
    const Shape& grid = weights.find("scale")->shape();
    std::int64_t grid_row = row;
    if (const auto* block = std::get_if<PerBlock>(&weights.spec().granularity)) grid_row = row / block->rows;
    return params.scales[static_cast<std::size_t>(grid_row * grid[1] + col / block_of(weights.spec(), k))];
  }
};

std::vector<std::int32_t> codes_less_zero(const Product& p) {
  const QParams params = p.weights.qparams();
  const auto bytes = p.weights.codes().bytes();
  const std::int64_t per_zero =
      params.zero_points.empty() ? 1 : p.n * p.k / static_cast<std::int64_t>(params.zero_points.size());
  std::vector<std::int32_t> all;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const std::int32_t q = p.weights.spec().element == DType::Int8 ? static_cast<std::int8_t>(byte) : byte;
    all.push_back(q - (params.zero_points.empty() ? 0 : params.zero_points[i / static_cast<std::size_t>(per_zero)]));
  }
  return all;
}

// As the contract of the header has it, with exact integers in 64 bits.
std::vector<float> expected_quantized(const Product& p, Mapping mapping) {
  const std::vector<std::int32_t> w = codes_less_zero(p);
  const std::int64_t block = block_of(p.weights.spec(), p.k);
  const QuantSpec spec = parse_spec(mapping == Mapping::Symmetric ? "int8:tensor:narrow" : "int8:tensor:asym");
  std::vector<float> y;
  for (std::size_t r = 0; r < p.rows(); ++r) {
    const std::vector<float> row(p.x.begin() + r * p.k, p.x.begin() + (r + 1) * p.k);
    const QuantizedTensor x = quantize(tensor_of(row, {1, p.k}).view(), spec);
    const QParams params = x.qparams();
    const std::int32_t xz = params.zero_points.empty() ? 0 : params.zero_points[0];
    for (std::int64_t n = 0; n < p.n; ++n) {
      float total = 0;
      for (std::int64_t begin = 0; begin < p.k; begin += block) {
        std::int64_t sum = 0;
        for (std::int64_t i = begin; i < std::min(begin + block, p.k); ++i) {
          const auto q = static_cast<std::int8_t>(x.codes().bytes()[static_cast<std::size_t>(i)]);
          sum += static_cast<std::int64_t>(w[static_cast<std::size_t>(n * p.k + i)]) * (q - xz);
        }
        REQUIRE(sum == static_cast<std::int32_t>(sum));
        total = std::fma(static_cast<float>(sum), p.scale(n, begin), total);
      }
      y.push_back(total * params.scales[0]);
    }
  }
  return y;
}

// w: what the sums over a block multiply by, before the scale.
std::vector<float> expected_floats(const Product& p, const std::vector<float>& w, std::int64_t block, bool scaled) {
  std::vector<float> y;
  for (std::size_t r = 0; r < p.rows(); ++r) {
    for (std::int64_t n = 0; n < p.n; ++n) {
      float total = 0;
      for (std::int64_t begin = 0; begin < p.k; begin += block) {
        float t = 0;
        for (std::int64_t i = begin; i < std::min(begin + block, p.k); ++i) {
          t = std::fma(p.x[r * static_cast<std::size_t>(p.k) + static_cast<std::size_t>(i)],
                       w[static_cast<std::size_t>(n * p.k + i)], t);
        }
        total = std::fma(t, scaled ? p.scale(n, begin) : 1.0f, total);
      }
      y.push_back(total);
    }
  }
  return y;
}

std::vector<float> decoded(const QuantizedTensor& weights) {
  const Tensor values = dequantize(weights);
  const std::span<const float> all = values.as<float>();
  return {all.begin(), all.end()};
}

void check_equal(const std::vector<float>& found, const std::vector<float>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::memcmp(&found[i], &expected[i], sizeof(float)) == 0) continue;
    INFO("element ", i, ": expected ", expected[i], ", found ", found[i]);
    FAIL("bits differ");
  }
}

struct Size {
  std::int64_t m, n, k;
};
// Around tiles of 4 and 8 rows, panels of 16 columns, groups of them, quads and octets.
constexpr Size kSizes[] = {{1, 1, 1},   {1, 16, 64},  {2, 15, 7},    {3, 17, 33}, {5, 49, 100}, {8, 48, 128},
                           {9, 33, 65}, {16, 96, 40}, {17, 64, 129}, {33, 5, 96}, {70, 20, 31}};

const std::vector<std::string> kInteger = {
    "int8",         "int8:asym",         "uint8:asym",         "uint8:tensor", "int8:tensor:asym",
    "int4:channel", "int4:channel:asym", "uint4:channel:asym", "int6",         "uint3:channel:asym",
    "int2:channel"};
const std::vector<std::string> kGrouped = {"int4:g32",      "int4:g32:asym", "uint4:g64:asym", "int4:g128",
                                           "int8:g32:asym", "int4:g16",      "int8:b4x32"};

}  // namespace

TEST_CASE("matmul: integers with quantized activations are exact sums, scaled in one order") {
  for (const Mapping mapping : {Mapping::Symmetric, Mapping::Asymmetric}) {
    for (const std::string& spec : kInteger) {
      for (const Size& size : kSizes) {
        CAPTURE(spec);
        CAPTURE(size.m);
        CAPTURE(size.n);
        CAPTURE(size.k);
        const Product p(size.m, size.n, size.k, spec);
        check_equal(p.run({.activations = per_token(mapping)}), expected_quantized(p, mapping));
      }
    }
  }
}

TEST_CASE("matmul: groups with quantized activations") {
  for (const Mapping mapping : {Mapping::Symmetric, Mapping::Asymmetric}) {
    for (const std::string& spec : kGrouped) {
      for (const Size& size : {Size{1, 16, 128}, Size{3, 50, 384}, Size{8, 32, 256}, Size{20, 17, 128}}) {
        CAPTURE(spec);
        CAPTURE(size.m);
        const Product p(size.m, size.n, size.k, spec);
        check_equal(p.run({.activations = per_token(mapping)}), expected_quantized(p, mapping));
      }
    }
  }
}

TEST_CASE("matmul: integers with float activations") {
  for (const std::string& spec : kInteger) {
    for (const Size& size : kSizes) {
      CAPTURE(spec);
      const Product p(size.m, size.n, size.k, spec);
      const std::vector<std::int32_t> codes = codes_less_zero(p);
      const std::vector<float> w(codes.begin(), codes.end());
      check_equal(p.run(), expected_floats(p, w, block_of(p.weights.spec(), p.k), true));
    }
  }
  for (const std::string& spec : kGrouped) {
    const Product p(9, 35, 256, spec);
    const std::vector<std::int32_t> codes = codes_less_zero(p);
    const std::vector<float> w(codes.begin(), codes.end());
    check_equal(p.run(), expected_floats(p, w, block_of(p.weights.spec(), p.k), true));
  }
}

TEST_CASE("matmul: fp8 weights are their values times the scale of a block") {
  for (const std::string spec : {"fp8_e4m3", "fp8_e5m2:tensor", "fp8_e4m3:g32", "fp8_e4m3:b4x64"}) {
    CAPTURE(spec);
    const Product p(9, 35, 128, spec);
    std::vector<float> w = decoded(p.weights);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / p.k, col = static_cast<std::int64_t>(i) % p.k;
      // A code times its scale over that scale is the code's value again, whose mantissa has at most 3 bits.
      const float quotient = w[i] / p.scale(row, col);
      int exponent = 0;
      const float mantissa = std::frexp(quotient, &exponent);
      const float step = exponent < -5 ? std::ldexp(1.0f, -9 - exponent) : 1.0f / 16;
      w[i] = std::ldexp(std::nearbyint(mantissa / step) * step, exponent);
    }
    check_equal(p.run(), expected_floats(p, w, block_of(p.weights.spec(), p.k), true));
  }
}

TEST_CASE("matmul: every other encoding is decoded, each row in the order of k") {
  for (const std::string spec : {"nf4", "fp16", "bf16", "mxfp4", "nvfp4", "q4_k", "q6_k", "q8_0", "int8:channel=1"}) {
    CAPTURE(spec);
    const Product p(5, 37, 256, spec);
    CHECK(pack_for_matmul(p.weights).bytes().empty());
    check_equal(p.run(), expected_floats(p, decoded(p.weights), p.k, false));
  }
}

TEST_CASE("matmul: activations of weights that are no integers are quantized and decoded") {
  for (const std::string element : {"int8", "fp8_e4m3"}) {
    Product p(5, 20, 64, "nf4");
    const std::vector<float> found = p.run({.activations = ActivationSpec{.element = element}});
    const QuantizedTensor x =
        quantize(tensor_of(p.x, {5, 64}).view(), parse_spec(element == "int8" ? "int8:narrow" : element));
    p.x = decoded(x);
    check_equal(found, expected_floats(p, decoded(p.weights), p.k, false));
  }
}

TEST_CASE("matmul: the bias is added last, and bf16 activations are their values") {
  for (const std::string spec : {"int8", "int4:g32", "nf4"}) {
    Product p(3, 40, 64, spec);
    const Tensor x = tensor_of(p.x, {3, 64});
    const QuantizedTensor half = quantize(x.view(), parse_spec("bf16"));
    p.x = decoded(half);
    for (const bool quantized : {false, true}) {
      MatmulOptions options;
      if (quantized) options.activations = per_token(Mapping::Asymmetric);
      const std::vector<float> plain = p.run(options);
      options.bias = p.bias;
      const Tensor y = matmul(half.codes().view(), p.weights, options);
      CHECK(y.shape() == Shape{3, 40});
      for (std::size_t i = 0; i < plain.size(); ++i) REQUIRE(y.as<float>()[i] == plain[i] + p.bias[i % 40]);
    }
  }
}

TEST_CASE("matmul: threads, a used workspace and the number of rows change nothing") {
  const std::unique_ptr<Executor> threads = make_thread_executor(3);
  MatmulWorkspace workspace;
  for (const std::string spec : {"int8", "int4:g32:asym", "fp8_e4m3", "q8_0"}) {
    for (const bool quantized : {false, true}) {
      CAPTURE(spec);
      const Product p(37, 130, 96, spec);
      MatmulOptions options;
      if (quantized) options.activations = per_token(Mapping::Asymmetric);
      const std::vector<float> alone = p.run(options);
      options.workspace = &workspace;
      options.executor = threads.get();
      check_equal(p.run(options), alone);
      const PackedWeights packed = pack_for_matmul(p.weights);
      for (std::size_t r = 0; r < p.rows(); ++r) {
        const std::vector<float> row(p.x.begin() + r * 96, p.x.begin() + (r + 1) * 96);
        std::vector<float> y(130);
        matmul(tensor_of(row, {96}).view(), packed, y, options);
        check_equal(y, {alone.begin() + r * 130, alone.begin() + (r + 1) * 130});
      }
    }
  }
}

TEST_CASE("matmul: more rows than one band") {
  const Product p(1500, 3, 8, "int8");
  check_equal(p.run({.activations = per_token(Mapping::Symmetric)}), expected_quantized(p, Mapping::Symmetric));
}

TEST_CASE("matmul: rows longer than a block of exact sums") {
  for (const std::string spec : {"int8:asym", "uint8:asym"}) {
    const Product p(2, 3, 70001, spec);
    check_equal(p.run({.activations = per_token(Mapping::Asymmetric)}), expected_quantized(p, Mapping::Asymmetric));
  }
}

TEST_CASE("matmul: one scale for all rows of the activations") {
  const Product p(6, 10, 32, "int8");
  ActivationSpec spec = per_token(Mapping::Asymmetric);
  spec.per_token = false;
  const std::vector<float> found = p.run({.activations = spec});
  const QuantizedTensor x = quantize(tensor_of(p.x, {6, 32}).view(), parse_spec("int8:tensor:asym"));
  const std::vector<std::int32_t> w = codes_less_zero(p);
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < 32; ++k) {
      const auto q = static_cast<std::int8_t>(x.codes().bytes()[i / 10 * 32 + k]);
      sum += w[i % 10 * 32 + k] * (q - x.qparams().zero_points[0]);
    }
    const float total = static_cast<float>(sum) * p.scale(static_cast<std::int64_t>(i % 10), 0);
    CHECK(found[i] == total * x.qparams().scales[0]);
  }
}

TEST_CASE("matmul: nothing times something is the bias") {
  const Product p(2, 3, 0, "int8:tensor");
  CHECK(p.weights.shape() == Shape{3, 0});
  std::vector<float> y(6, 9.0f);
  const std::vector<float> bias = {1, 2, 3};
  const std::array<std::int64_t, 2> shape = {2, 0};
  matmul({DType::Float32, shape, {}}, pack_for_matmul(p.weights), y, {.bias = bias});
  CHECK(y == std::vector<float>{1, 2, 3, 1, 2, 3});
}

TEST_CASE("packed weights: bytes that were kept give the same products") {
  for (const std::string spec : {"int8", "int8:asym", "int4:g32:asym", "fp8_e5m2"}) {
    const Product p(5, 40, 64, spec);
    const PackedWeights packed = pack_for_matmul(p.weights);
    Buffer kept(packed.bytes().size());
    std::memcpy(kept.data(), packed.bytes().data(), kept.size());
    const PackedWeights opened = open_packed_weights(kept.span());
    CHECK(opened.n() == 40);
    CHECK(opened.k() == 64);
    std::vector<float> y(200);
    matmul(tensor_of(p.x, {5, 64}).view(), opened, y);
    check_equal(y, p.run());
  }
}

TEST_CASE("packed weights: what is not such, or cut, or of another version is refused") {
  const PackedWeights packed = pack_for_matmul(weights_of(40, 64, "int4:g32:asym"));
  const auto code_after = [&](std::size_t at, std::uint8_t value) {
    Buffer bytes(packed.bytes().size());
    std::memcpy(bytes.data(), packed.bytes().data(), bytes.size());
    bytes.data()[at] = std::byte{value};
    return test::code_of([&] { open_packed_weights(bytes.span()); });
  };
  CHECK(code_after(0, 'm') == ErrorCode::Corrupt);
  CHECK(code_after(8, 2) == ErrorCode::Unsupported);
  CHECK(code_after(12, 4) == ErrorCode::Corrupt);     // kind
  CHECK(code_after(12, 0) == ErrorCode::Corrupt);     // 8 bits: twice the bytes
  CHECK(code_after(16, 0) == ErrorCode::Corrupt);     // n = 0
  CHECK(code_after(16, 80) == ErrorCode::Corrupt);    // n
  CHECK(code_after(23, 0x80) == ErrorCode::Corrupt);  // n < 0
  CHECK(code_after(24, 32) == ErrorCode::Corrupt);    // k
  CHECK(code_after(27, 0x7f) == ErrorCode::Corrupt);  // k near 2^31
  CHECK(code_after(32, 0) == ErrorCode::Corrupt);     // block
  CHECK(code_after(32, 65) == ErrorCode::Corrupt);    // block > k
  CHECK(code_after(40, 0) == ErrorCode::Corrupt);     // no zero points: fewer bytes
  CHECK(code_after(40, 2) == ErrorCode::Corrupt);
  CHECK(code_after(45, 1) == ErrorCode::Corrupt);  // zero point beyond a byte
  for (std::size_t size = 0; size < packed.bytes().size(); size += 37) {
    CHECK(test::code_of([&] { open_packed_weights(packed.bytes().first(size)); }) == ErrorCode::Corrupt);
  }
  const auto unaligned = packed.bytes().subspan(4);
  CHECK(test::code_of([&] { open_packed_weights(unaligned); }) == ErrorCode::Usage);
}

TEST_CASE("packed weights: codes that their width does not have are decoded, not packed") {
  const QuantizedTensor good = weights_of(3, 32, "int4:g32");
  Buffer codes(96);
  std::memset(codes.data(), 100, codes.size());
  const QuantizedTensor odd(
      good.spec(), {3, 32},
      {{"codes", Tensor(DType::Int8, {3, 32}, std::move(codes))}, {"scale", *good.find("scale")}});
  Product p(2, 3, 32, "int4:g32");
  p.weights = odd;
  CHECK(pack_for_matmul(odd).bytes().empty());
  check_equal(p.run(), expected_floats(p, decoded(odd), 32, false));
}

TEST_CASE("matmul: what does not fit together is refused, what is not finite too where it is quantized") {
  const Product p(2, 16, 32, "int8");
  const PackedWeights packed = pack_for_matmul(p.weights);
  std::vector<float> x = p.x, y(32);
  const auto code = [&](Shape shape, std::size_t results, const MatmulOptions& options) {
    return test::code_of([&] { matmul(tensor_of(x, shape).view(), packed, std::span(y).first(results), options); });
  };
  CHECK(code({2, 32}, 32, {}) == std::nullopt);
  CHECK(code({4, 16}, 32, {}) == ErrorCode::Usage);
  CHECK(code({2, 32}, 31, {}) == ErrorCode::Usage);
  CHECK(code({2, 32}, 32, {.bias = std::span(p.bias).first(15)}) == ErrorCode::Usage);
  CHECK(code({2, 32}, 32, {.activations = ActivationSpec{.element = "int4"}}) == ErrorCode::Usage);
  const std::array<std::int64_t, 2> shape = {2, 32};
  const TensorView integers = {DType::Int32, shape, std::as_bytes(std::span(x))};
  CHECK(test::code_of([&] { matmul(integers, packed, y); }) == ErrorCode::Usage);
  x[40] = std::numeric_limits<float>::infinity();
  CHECK(code({2, 32}, 32, {.activations = ActivationSpec{}}) == ErrorCode::Numeric);
  CHECK(code({2, 32}, 32, {}) == std::nullopt);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(std::isfinite(y[i]));
    CHECK(!std::isfinite(y[16 + i]));
  }
}
