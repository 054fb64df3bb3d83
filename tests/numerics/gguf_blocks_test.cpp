// The decoders of ggml's blocks against formulas that take one weight at a time, straight from the format reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "mq/metrics.hpp"
#include "mq/quantize.hpp"
#include "src/codecs/codec.hpp"
#include "src/float_rows.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/gguf_golden.hpp"

using namespace mq;
using mq::test::kGgufGolden;

namespace {

using Bytes = const std::uint8_t*;

float half(Bytes from) {
  float value = 0;
  widen(DType::Float16, reinterpret_cast<const std::byte*>(from), 1, &value);
  return value;
}

float number(int value) {
  return static_cast<float>(value);
}

// Code i of 32 in split halves.
int nibble(Bytes codes, int i) {
  return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4;
}

int fifth_bit(Bytes bits, int i) {
  return bits[i / 8] >> (i % 8) & 1;
}

constexpr int kCodebook[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr float kE2m1[] = {0, .5F, 1, 1.5F, 2, 3, 4, 6, 0, -.5F, -1, -1.5F, -2, -3, -4, -6};

float ue4m3(int code) {
  if (code == 0x7f) return 0;
  const int e = code >> 3 & 15, m = code & 7;
  return static_cast<float>(e == 0 ? std::ldexp(m, -9) : std::ldexp(8 + m, e - 10));
}

float q2_k(Bytes b, int i) {
  const int n = i / 128, j = i % 128 / 32, l = i % 32;
  const int q = b[16 + 32 * n + l] >> (2 * j) & 3, s = b[i / 16];
  const float scaled = half(b + 80) * number(s & 15), least = half(b + 82) * number(s >> 4);
  return scaled * number(q) - least;
}

float q3_k(Bytes b, int i) {
  const int n = i / 128, j = i % 128 / 32, l = i % 32;
  const int q = b[32 + 32 * n + l] >> (2 * j) & 3, h = b[i % 32] >> (i / 32) & 1, g = i / 16;
  Bytes scales = b + 96;
  const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
  const int sc = (low | (scales[8 + g % 4] >> (2 * (g / 4)) & 3) << 4) - 32;
  return half(b + 108) * number(sc) * number(q - (h != 0 ? 0 : 4));
}

float q45_k(Bytes b, int i, bool five) {
  const int g = i / 32, l = i % 32;
  Bytes s = b + 4;
  const int byte = b[(five ? 48 : 16) + 32 * (g / 2) + l];
  const int q = (g % 2 != 0 ? byte >> 4 : byte & 15) + (five ? 16 * (b[16 + l] >> g & 1) : 0);
  const int sc = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | ((s[g - 4] >> 6) << 4);
  const int m = g < 4 ? s[g + 4] & 63 : (s[g + 4] >> 4) | ((s[g] >> 6) << 4);
  const float scaled = half(b) * number(sc), least = half(b + 2) * number(m);
  return scaled * number(q) - least;
}

float q6_k(Bytes b, int i) {
  const int n = i / 128, r = i % 128 / 32, l = i % 32;
  const int byte = b[64 * n + 32 * (r & 1) + l];
  const int q = ((r >= 2 ? byte >> 4 : byte & 15) | (b[128 + 32 * n + l] >> (2 * r) & 3) << 4) - 32;
  return half(b + 208) * number(static_cast<std::int8_t>(b[192 + i / 16])) * number(q);
}

float iq4_xs(Bytes b, int i) {
  const int g = i / 32, high = b[2] | b[3] << 8;
  const int u = (b[4 + g / 2] >> (4 * (g % 2)) & 15) | (high >> (2 * g) & 3) << 4;
  return half(b) * number(u - 32) * number(kCodebook[nibble(b + 8 + 16 * g, i % 32)]);
}

float nvfp4(Bytes b, int i) {
  const int s = i / 16, j = i % 16, byte = b[4 + 8 * s + j % 8];
  return kE2m1[j < 8 ? byte & 15 : byte >> 4] * ue4m3(b[s]);
}

// Weight i of a block.
float reference(DType dtype, Bytes b, int i) {
  switch (dtype) {
    case DType::Q8_0:
      return number(static_cast<std::int8_t>(b[2 + i])) * half(b);
    case DType::Q4_0:
      return number(nibble(b + 2, i) - 8) * half(b);
    case DType::Q4_1:
      return number(nibble(b + 4, i)) * half(b) + half(b + 2);
    case DType::Q5_0:
      return number(nibble(b + 6, i) + 16 * fifth_bit(b + 2, i) - 16) * half(b);
    case DType::Q5_1:
      return number(nibble(b + 8, i) + 16 * fifth_bit(b + 4, i)) * half(b) + half(b + 2);
    case DType::Q2_K:
      return q2_k(b, i);
    case DType::Q3_K:
      return q3_k(b, i);
    case DType::Q4_K:
      return q45_k(b, i, false);
    case DType::Q5_K:
      return q45_k(b, i, true);
    case DType::Q6_K:
      return q6_k(b, i);
    case DType::IQ4_NL:
      return half(b) * number(kCodebook[nibble(b + 2, i)]);
    case DType::IQ4_XS:
      return iq4_xs(b, i);
    case DType::MXFP4:
      return static_cast<float>(std::ldexp(double{kE2m1[nibble(b + 1, i)]}, b[0] - 127));
    default:
      return nvfp4(b, i);
  }
}

std::vector<float> decode(DType dtype, std::span<const std::uint8_t> blocks) {
  const auto count = static_cast<std::int64_t>(blocks.size()) / info(dtype).block_bytes;
  const Shape shape{count, info(dtype).block_numel};
  const std::optional<QuantSpec> spec = block_spec(dtype);
  REQUIRE(spec);
  Buffer bytes(blocks.size());
  std::memcpy(bytes.data(), blocks.data(), blocks.size());
  const Tensor codes(dtype, shape, std::move(bytes));
  const Tensor values = dequantize(QuantizedTensor(*spec, shape, {{"codes", codes}}));
  const auto span = values.as<float>();
  return {span.begin(), span.end()};
}

// Equal bits, but for those of a NaN.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEST_CASE("ggml blocks: the reference's encoded blocks decode exactly, and to what was encoded") {
  for (const test::GgufGolden& golden : kGgufGolden) {
    CAPTURE(to_string(golden.dtype));
    const std::vector<std::uint8_t> block = test::from_hex(golden.hex);
    REQUIRE(block.size() == static_cast<std::size_t>(info(golden.dtype).block_bytes));
    const std::vector<float> y = decode(golden.dtype, block);
    for (std::size_t i = 0; i < y.size(); ++i) {
      CAPTURE(i);
      CHECK(same(y[i], reference(golden.dtype, block.data(), static_cast<int>(i))));
    }
    const auto n = static_cast<std::int64_t>(y.size());
    const std::vector<float> x = test::gguf_golden_input(n);
    CHECK(measure(x.data(), y.data(), 1, n).sqnr_db() > 6.0 * block_spec(golden.dtype)->bits - 5.0);
  }
}

TEST_CASE("ggml blocks: any bytes decode as one weight at a time does, infinite scales and NaN too") {
  std::uint64_t state = 1;
  for (const test::GgufGolden& golden : kGgufGolden) {
    CAPTURE(to_string(golden.dtype));
    const auto size = static_cast<std::size_t>(info(golden.dtype).block_bytes);
    const auto numel = static_cast<std::size_t>(info(golden.dtype).block_numel);
    std::vector<std::uint8_t> blocks(2000 * size);
    for (std::uint8_t& byte : blocks) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      byte = static_cast<std::uint8_t>(state >> 56);
    }
    const std::vector<float> y = decode(golden.dtype, blocks);
    std::size_t different = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const float expected = reference(golden.dtype, blocks.data() + i / numel * size, static_cast<int>(i % numel));
      different += same(y[i], expected) ? 0 : 1;
    }
    CHECK(different == 0);
  }
}

TEST_CASE("ggml blocks: values that the format reference prints") {
  const auto values = [](DType dtype) {
    for (const test::GgufGolden& golden : kGgufGolden) {
      if (golden.dtype == dtype) return decode(dtype, test::from_hex(golden.hex));
    }
    return std::vector<float>();
  };
  const std::vector<float> xs = values(DType::IQ4_XS);
  CHECK(xs[0] == -2.7088623F);
  CHECK(xs[1] == -0.260467529F);
  CHECK(xs[2] == 2.31816101F);
  CHECK(xs[3] == -1.69303894F);
  CHECK(xs[255] == 0.317444801F);
  // The ramp (i - 16) / 4, as far as it is printed.
  const std::vector<float> ramp = decode(DType::Q4_0, test::from_hex("0038809191a2a2b3b3c4c4d5d5e6e6f7f7f8"));
  CHECK(ramp[0] == -4);
  CHECK(ramp[16] == 0);
  CHECK(ramp[31] == 3.5F);
}

TEST_CASE("ggml blocks: the largest, the smallest and the special scales of four-bit floats") {
  std::vector<std::uint8_t> mx(17, 0x7f);  // 6 in the high halves, -6 in the low ones
  const auto first = [&](std::uint8_t e) {
    mx[0] = e;
    return decode(DType::MXFP4, mx)[16];
  };
  CHECK(first(0) == 6 * 0x1p-127F);
  CHECK(first(1) == 6 * 0x1p-126F);
  CHECK(first(127) == 6);
  CHECK(std::isinf(first(255)));
  mx[1] = 0x10;  // 0.5 and 0
  CHECK(first(255) == 0x1p127F);
  CHECK(decode(DType::MXFP4, mx)[0] == 0);

  std::vector<std::uint8_t> nv(36, 0x77);
  nv[0] = 0x7f, nv[1] = 0x7e, nv[2] = 0x01, nv[3] = 0x00;
  const std::vector<float> y = decode(DType::NVFP4, nv);
  CHECK(y[0] == 0);
  CHECK(y[16] == 6 * 448);
  CHECK(y[32] == 6 * 0x1p-9F);
  CHECK(y[48] == 0);
}

TEST_CASE("ggml blocks: an encoding for each decoded type, with a name, its size and nothing to choose") {
  for (const test::GgufGolden& golden : kGgufGolden) {
    const DTypeInfo& type = info(golden.dtype);
    const std::optional<QuantSpec> spec = block_spec(golden.dtype);
    REQUIRE(spec);
    CHECK(to_string(*spec) == type.name);
    CHECK(bits_per_weight(*spec, Shape{3, 512}) == 8.0 * type.block_bytes / type.block_numel);
    QuantSpec other = *spec;
    other.granularity = PerChannel{};
    CHECK(test::code_of([&] { codec_of(other).check(other); }) == ErrorCode::Usage);
    // Those of mxfp4 and nvfp4 are the formats of OCP and NVIDIA, with scales of their own beside the codes.
    CHECK(std::ranges::any_of(schemes(), [&](const SchemeInfo& scheme) { return scheme.name == type.name; }));
  }
  for (const DType dtype : {DType::IQ2_XXS, DType::Q8_K, DType::TQ1_0, DType::Float32, DType::Int8}) {
    CHECK_FALSE(block_spec(dtype));
  }
}

TEST_CASE("ggml blocks: asking to write one that is only read says so, and what is written") {
  const std::vector<float> x(64);
  const TensorView view{DType::Float32, Shape{1, 64}, std::as_bytes(std::span(x))};
  const auto quantized = [&] { quantize(view, *block_spec(DType::NVFP4)); };
  CHECK(test::code_of(quantized) == ErrorCode::Usage);
  CHECK(test::message_of(quantized).find("nvfp4 is read but cannot be written yet: expected one of int8,") !=
        std::string::npos);
}
