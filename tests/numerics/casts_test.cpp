// Conversions between float types, of every kernel table, against PyTorch's.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/dispatch.hpp"
#include "src/codecs/codec.hpp"
#include "src/float_rows.hpp"
#include "tests/numerics/pytorch.hpp"

using namespace mq;
using kernels::KernelTable;
using mq::test::PyTorchCases;

namespace {

std::uint32_t bits_of(float x) {
  return std::bit_cast<std::uint32_t>(x);
}

// Every value of a type of this many codes, in the order of the codes.
template <class Code, class Convert>
void check_all_patterns(const Tensor& expected, Convert&& convert) {
  const auto y = expected.as<float>();
  std::vector<Code> codes(y.size());
  std::iota(codes.begin(), codes.end(), Code{0});
  std::vector<float> found(y.size());
  convert(codes.data(), codes.size(), found.data());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    wrong += std::isnan(y[i]) ? !std::isnan(found[i]) : bits_of(found[i]) != bits_of(y[i]);
  }
  CHECK(wrong == 0);
}

template <class Code>
std::vector<Code> cast(void (*convert)(const float*, std::size_t, Code*) noexcept, std::span<const float> x) {
  std::vector<Code> codes(x.size());
  convert(x.data(), x.size(), codes.data());
  return codes;
}

// PyTorch's fp8 casts leave the finite range at `beyond`; there ours saturates, NaN apart.
void check_fp8(std::span<const float> x, std::span<const std::uint8_t> theirs, std::span<const std::uint8_t> ours,
               float beyond, std::uint8_t largest) {
  std::size_t wrong = 0, saturated = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool past = !std::isnan(x[i]) && std::fabs(x[i]) > beyond;
    const auto sign = static_cast<std::uint8_t>(std::signbit(x[i]) ? 0x80 : 0);
    wrong += ours[i] != (past ? static_cast<std::uint8_t>(largest | sign) : theirs[i]);
    saturated += past;
  }
  CHECK(wrong == 0);
  CHECK(saturated > 0);
}

}  // namespace

TEST_CASE("casts: every half, bfloat16 and fp8 pattern has PyTorch's value") {
  const PyTorchCases cases("numerics");
  for (const KernelTable* k : kernels::available_kernels()) {
    CAPTURE(k->name);
    check_all_patterns<std::uint16_t>(cases.tensor("cast.f16_all.to_f32"), k->f16_to_f32);
    check_all_patterns<std::uint16_t>(cases.tensor("cast.bf16_all.to_f32"), k->bf16_to_f32);
    check_all_patterns<std::uint8_t>(cases.tensor("cast.float8_e4m3fn_all.to_f32"), k->e4m3_to_f32);
    check_all_patterns<std::uint8_t>(cases.tensor("cast.float8_e5m2_all.to_f32"), k->e5m2_to_f32);
  }
  check_all_patterns<std::uint8_t>(
      cases.tensor("cast.float8_e8m0fnu_all.to_f32"), [](const std::uint8_t* codes, std::size_t n, float* y) {
        widen(DType::Float8E8M0FNU, reinterpret_cast<const std::byte*>(codes), static_cast<std::int64_t>(n), y);
      });
}

TEST_CASE("casts: a sweep with ties, subnormals, infinities and NaN rounds to PyTorch's codes") {
  const PyTorchCases cases("numerics");
  const Tensor input = cases.tensor("cast.in");
  const Tensor f16 = cases.tensor("cast.to_float16"), bf16 = cases.tensor("cast.to_bfloat16");
  const Tensor e4m3 = cases.tensor("cast.to_float8_e4m3fn"), e5m2 = cases.tensor("cast.to_float8_e5m2");
  const auto x = input.as<float>();
  // PyTorch's vector code turns NaN into 0xffff, its scalar code, like ours, into 0x7fc0.
  std::vector<std::uint16_t> quiet(bf16.as<std::uint16_t>().begin(), bf16.as<std::uint16_t>().end());
  std::ranges::replace(quiet, std::uint16_t{0xffff}, std::uint16_t{0x7fc0});
  for (const KernelTable* k : kernels::available_kernels()) {
    CAPTURE(k->name);
    CHECK(std::ranges::equal(cast(k->f32_to_f16, x), f16.as<std::uint16_t>()));
    CHECK(std::ranges::equal(cast(k->f32_to_bf16, x), quiet));
    // Up to 464, halfway to the next step, rounding leads back to 448; 61440, likewise, is a tie to infinity.
    check_fp8(x, e4m3.as<std::uint8_t>(), cast(k->f32_to_e4m3, x), 464.0f, 0x7e);
    check_fp8(x, e5m2.as<std::uint8_t>(), cast(k->f32_to_e5m2, x), std::nextafter(61440.0f, 0.0f), 0x7b);
  }
}

TEST_CASE("casts: float64 rounds once, and the rarer 8-bit floats have their values") {
  const double doubles[] = {1 + 0x1p-24, 1 + 0x1.8p-24, 1e300, -0.0};
  float y[4] = {};
  widen(DType::Float64, reinterpret_cast<const std::byte*>(doubles), 4, y);
  CHECK(y[0] == 1.0f);
  CHECK(y[1] == 1 + 0x1p-23f);
  CHECK(y[2] == std::numeric_limits<float>::infinity());
  CHECK(std::signbit(y[3]));

  const std::uint8_t codes[] = {0x7f, 0x80, 0x01, 0xff};
  widen(DType::Float8E4M3FNUZ, reinterpret_cast<const std::byte*>(codes), 4, y);
  CHECK(y[0] == 240.0f);
  CHECK(std::isnan(y[1]));
  CHECK(y[2] == 0x1p-10f);
  CHECK(y[3] == -240.0f);
  widen(DType::Float8E5M2FNUZ, reinterpret_cast<const std::byte*>(codes), 4, y);
  CHECK(y[0] == 57344.0f);
  CHECK(y[2] == 0x1p-17f);
}

TEST_CASE("float_cast: NaN and infinity pass and are counted; finite values that overflow are counted apart") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{1, -inf, std::nanf(""), 65519, 65520, -1e30f, 0x1p-25f, 0x1.ffp127f};
  for (const char* name : {"fp16", "bf16", "fp32"}) {
    CAPTURE(name);
    const QuantSpec spec = parse_spec(name);
    const Codec& codec = codec_of(spec);
    const CodecRequest request{.spec = spec, .layout = make_block_layout(Shape{2, 4}, {2, 4}, spec.granularity)};
    const auto state = codec.begin(request, nullptr);
    std::vector<std::byte> out(8 * static_cast<std::size_t>(spec.bits / 8));
    const std::array<std::span<std::byte>, 1> spans{out};
    const EncodeCounts counts = codec.encode(*state, {0, 2, 0, 4}, x.data(), spans, nullptr);
    CHECK(counts.nonfinite == 2);
    CHECK(counts.overflow == (spec.element == DType::Float16 ? 3 : spec.element == DType::BFloat16 ? 1 : 0));
    std::vector<float> y(8);
    const std::array<std::span<const std::byte>, 1> stored{out};
    codec.decode(request, {0, 2, 0, 4}, stored, y.data());
    CHECK(y[1] == -inf);
    CHECK(std::isnan(y[2]));
    CHECK(y[0] == 1);
    if (spec.element == DType::Float16) CHECK(y[3] == 65504);
    if (spec.element == DType::Float16) CHECK(y[6] == 0);
  }
}
