// Codes of uneven levels: every table to the bit like the reference, and the reference by hand.
#include <array>

#include "tests/kernels/compare.hpp"
#include "tests/kernels/levels.hpp"

namespace kernel_test {
namespace {

using mq::kernels::Levels;
using mq::kernels::Range;

constexpr std::array kTables = {&kE2m1, &kUneven};

TEST_CASE("quantize_levels: every table agrees with the reference") {
  for (const Levels* levels : kTables) {
    for (const Shape s : shapes()) {
      const std::vector<float> x = finite_values(s.rows * s.run, 31), by = scales(s.rows, 32, true);
      Output<std::uint8_t> expected(x.size(), 0);
      reference().quantize_levels(*levels, Input(x, 0).data(), s.rows, s.run, Input(by, 0).data(), expected.data());
      for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
        const Input<float> in(x, offset), scale(by, offset);
        Output<std::uint8_t> found(x.size(), offset);
        table.quantize_levels(*levels, in.data(), s.rows, s.run, scale.data(), found.data());
        check_same(found, expected, describe(table, offset, s));
      });
    }
  }
}

TEST_CASE("dequantize_levels: every table agrees with the reference") {
  for (const Levels* levels : kTables) {
    for (const Shape s : shapes()) {
      const std::vector<std::uint8_t> q = random_bytes(s.rows * s.run, 33);
      const std::vector<float> by = scales(s.rows, 34, false);
      Output<float> expected(q.size(), 0);
      reference().dequantize_levels(*levels, Input(q, 0).data(), s.rows, s.run, Input(by, 0).data(), expected.data());
      for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
        const Input<std::uint8_t> in(q, offset);
        const Input<float> scale(by, offset);
        Output<float> found(q.size(), offset);
        table.dequantize_levels(*levels, in.data(), s.rows, s.run, scale.data(), found.data());
        check_same(found, expected, describe(table, offset, s));
      });
    }
  }
}

TEST_CASE("quantize_levels: E2M1 rounds ties to even, saturates and keeps the sign of zero") {
  const std::array<float, 20> x = {0,    -0.0f, 0.25f, 0.26f, 0.75f, 0.74f, 1.25f, 1.26f,  1.75f, 2.5f,
                                   2.6f, 3.5f,  5,     5.1f,  100,   -0.1f, -0.3f, -1.75f, -5.5f, -1e30f};
  const std::array<unsigned, 20> codes = {0, 8, 0, 1, 2, 1, 2, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9, 12, 15, 15};
  const float one = 1;
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    std::array<std::uint8_t, 20> q = {};
    table->quantize_levels(kE2m1, x.data(), 1, x.size(), &one, q.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      CHECK(q[i] == codes[i]);
    }
  }
}

TEST_CASE("choose_scale: every table agrees with the reference, and the best of all is chosen") {
  for (const Levels* levels : kTables) {
    for (const Shape s : {Shape{1, 16}, Shape{37, 16}, Shape{5, 200}, Shape{0, 16}, Shape{3, 1}}) {
      const std::vector<float> x = finite_values(s.rows * s.run, 35);
      std::vector<float> weights = finite_values(s.rows * s.run, 36);
      for (float& w : weights) w = std::fabs(w) < 1e6f ? std::fabs(w) : 1.0f;
      constexpr std::size_t kCount = 9;
      const std::vector<float> candidates = scales(kCount * s.rows, 37, false);
      std::vector<Range> ranges(s.rows);
      reference().range(x.data(), s.rows, s.run, ranges.data());
      for (const float* w : {static_cast<const float*>(nullptr), static_cast<const float*>(weights.data())}) {
        Output<std::uint8_t> expected(s.rows, 0);
        reference().choose_scale(*levels, {x.data(), w, s.rows, s.run, ranges.data()}, candidates.data(), kCount,
                                 expected.data());
        for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
          Output<std::uint8_t> found(s.rows, offset);
          table.choose_scale(*levels, {x.data(), w, s.rows, s.run, ranges.data()}, candidates.data(), kCount,
                             found.data());
          check_same(found, expected, describe(table, offset, s));
        });
      }
    }
  }
  // Values that one of the scales represents exactly.
  std::vector<float> x;
  for (int i = 0; i < 16; ++i) x.push_back(0.125f * kE2m1.value[static_cast<std::size_t>(i) % 8]);
  Range range;
  reference().range(x.data(), 1, 16, &range);
  const std::array<float, 4> scale = {0.1f, 0.25f, 0.125f, 0.0625f};
  std::uint8_t best = 9;
  reference().choose_scale(kE2m1, {x.data(), nullptr, 1, 16, &range}, scale.data(), 4, &best);
  CHECK(best == 2);
}

}  // namespace
}  // namespace kernel_test
