// Kernels of 16-bit floats: to the bit what the reference gives for the widened values.
#include "tests/kernels/compare.hpp"

using namespace kernel_test;
using mq::kernels::AffineRuns;
using mq::kernels::ErrorSums;
using mq::kernels::Halves;
using mq::kernels::Range;

namespace {

constexpr std::uint16_t kMagnitude = 0x7fff;

std::uint16_t infinity(bool brain) {
  return brain ? 0x7f80 : 0x7c00;
}

// Any bits; or, with one special value in `period` (none: 0), finite numbers.
std::vector<std::uint16_t> random_halves(std::size_t n, bool brain, unsigned seed, std::size_t period) {
  std::mt19937 random(seed);
  std::vector<std::uint16_t> x(n);
  for (std::uint16_t& v : x) {
    const auto bits = static_cast<std::uint16_t>(random());
    const bool special = period != 0 && random() % period == 0;
    const bool finite = (bits & kMagnitude) < infinity(brain);
    v = special ? static_cast<std::uint16_t>(bits | infinity(brain))
                : static_cast<std::uint16_t>(finite ? bits : 0x8000);
  }
  return x;
}

// Numbers of the size of weights, for which codes are not all saturated.
std::vector<std::uint16_t> weight_halves(std::size_t n, bool brain, unsigned seed) {
  const std::vector<float> x = finite_values(n, seed);
  std::vector<std::uint16_t> halves(n);
  (brain ? reference().f32_to_bf16 : reference().f32_to_f16)(x.data(), n, halves.data());
  for (std::uint16_t& v : halves) {
    if ((v & kMagnitude) >= infinity(brain)) v = infinity(brain) - 1;
  }
  return halves;
}

std::vector<float> widened(const std::vector<std::uint16_t>& x, bool brain) {
  std::vector<float> y(x.size());
  (brain ? reference().bf16_to_f32 : reference().f16_to_f32)(x.data(), x.size(), y.data());
  return y;
}

void check_ranges(const KernelTable& table, std::size_t offset, Shape s, const std::vector<std::uint16_t>& x,
                  bool brain) {
  const Input<std::uint16_t> in(x, offset);
  Output<Range> expected(s.rows, 0), found(s.rows, 0);
  reference().range(widened(x, brain).data(), s.rows, s.run, expected.data());
  table.range_halves({in.data(), brain}, s.rows, s.run, found.data());
  check_same_ranges(found, expected, describe(table, offset, s));
}

template <class F>
void for_each_kind(F f) {
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    for (const bool brain : {false, true}) {
      for (std::size_t offset = 0; offset < 4; ++offset) f(*table, offset, brain);
    }
  }
}

void check_codes(const KernelTable& table, std::size_t offset, bool brain, Shape s, bool nibbles, float qmin,
                 float qmax, int zero_lo, int zero_hi) {
  const std::size_t n = s.rows * s.run, bytes = nibbles ? n / 2 : n;
  const std::vector<std::uint16_t> x = weight_halves(n, brain, static_cast<unsigned>(n));
  const Input<std::uint16_t> in(x, offset);
  const std::vector<float> scale = scales(s.rows, 31, false), zero = zero_points(s.rows, 32, zero_lo, zero_hi);
  std::vector<float> inverse = scale;
  for (float& v : inverse) v = 1.0f / v;
  const AffineRuns runs{inverse.data(), scale.data(), zero.data(), qmin, qmax};
  Output<std::uint8_t> expected(bytes, offset), found(bytes, offset);
  ErrorSums expected_sums{1, 2, 3, 0}, sums = expected_sums;
  const std::vector<float> values = widened(x, brain);
  const auto& plain = reference();
  (nibbles ? plain.quantize_4_measured : plain.quantize_8_measured)(values.data(), s.rows, s.run, runs, expected.data(),
                                                                    &expected_sums);
  (nibbles ? table.quantize_4_halves : table.quantize_8_halves)({in.data(), brain}, s.rows, s.run, runs, found.data(),
                                                                &sums);
  check_same(found, expected, describe(table, offset, s));
  check_sums(sums, expected_sums);
}

}  // namespace

TEST_CASE("range_halves: the ranges of the widened values, finite or not") {
  for_each_kind([](const KernelTable& table, std::size_t offset, bool brain) {
    for (const Shape s : shapes()) {
      const std::size_t n = s.rows * s.run;
      for (const std::size_t period : {0, 1, 2, 50}) {
        check_ranges(table, offset, s, random_halves(n, brain, 41, period), brain);
      }
      std::vector<std::uint16_t> x = random_halves(n, brain, 42, 0);
      for (std::uint16_t& v : x) v &= kMagnitude;
      check_ranges(table, offset, s, x, brain);
      for (std::uint16_t& v : x) v |= 0x8000;
      check_ranges(table, offset, s, x, brain);
      // Runs of one sign, of both, and of zeros of one or both signs, side by side.
      const std::uint16_t kept[] = {0x7fff, 0xffff, 0xffff, 0x8000, 0, 0xffff}, set[] = {0, 0x8000, 0, 0, 0x8000, 0};
      x = random_halves(n, brain, 44, 0);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t kind = i / s.run % std::size(kept);
        x[i] = static_cast<std::uint16_t>((x[i] & kept[kind]) | set[kind]);
      }
      check_ranges(table, offset, s, x, brain);
    }
    check_ranges(table, offset, {2, 4160}, random_halves(8320, brain, 43, 0), brain);
  });
}

TEST_CASE("range_halves: a single NaN or infinity is seen at every position of a run") {
  for_each_kind([](const KernelTable& table, std::size_t offset, bool brain) {
    const auto least = infinity(brain), negative = static_cast<std::uint16_t>(least | 0x8000);
    for (const std::size_t run : {16, 32, 64, 100, 200}) {
      for (std::size_t at = 0; at < run; ++at) {
        for (const std::uint16_t bad : {least, negative, std::uint16_t{0x7fff}, std::uint16_t{0xffff}}) {
          for (const std::uint16_t other : {std::uint16_t{0x3c00}, std::uint16_t{0xbc00}}) {
            std::vector<std::uint16_t> x(run, 0x3c00);
            for (std::size_t i = 1; i < run; i += 3) x[i] = other;
            x[at] = bad;
            check_ranges(table, offset, {1, run}, x, brain);
          }
        }
      }
    }
  });
}

TEST_CASE("quantize_8_halves and quantize_4_halves: codes and sums of the widened values") {
  for_each_kind([](const KernelTable& table, std::size_t offset, bool brain) {
    for (const Shape s : {Shape{4, 16}, Shape{76, 16}, Shape{66, 32}, Shape{7, 64}, Shape{40, 128}, Shape{1, 576},
                          Shape{3, 1024}, Shape{1, 4160}, Shape{0, 64}}) {
      check_codes(table, offset, brain, s, false, -127, 127, 0, 0);
      check_codes(table, offset, brain, s, false, 0, 255, 0, 255);
      check_codes(table, offset, brain, s, false, -100, 200, -16384, 16384);
      check_codes(table, offset, brain, s, false, 0, 255, -(1 << 20), 1 << 20);
      check_codes(table, offset, brain, s, true, 1, 15, 0, 15);
    }
  });
}
