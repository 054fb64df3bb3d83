#include <cmath>
#include <limits>

#include "tests/kernels/compare.hpp"

using namespace kernel_test;
using mq::kernels::Range;

namespace {

void check_ranges(const KernelTable& table, std::size_t offset, Shape s, const std::vector<float>& x) {
  const Input<float> in(x, offset);
  Output<Range> expected(s.rows, 0), found(s.rows, 0);
  reference().range(in.data(), s.rows, s.run, expected.data());
  table.range(in.data(), s.rows, s.run, found.data());
  check_same_ranges(found, expected, describe(table, offset, s));
}

}  // namespace

TEST_CASE("range: every table agrees with the reference on finite values") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) check_ranges(table, offset, s, finite_values(s.rows * s.run, 1));
  });
}

TEST_CASE("range: every table agrees with the reference on values of one sign") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      std::vector<float> x = finite_values(s.rows * s.run, 2);
      for (float& v : x) v = std::fabs(v);
      check_ranges(table, offset, s, x);
      for (float& v : x) v = -v;
      check_ranges(table, offset, s, x);
    }
  });
}

TEST_CASE("range: infinities and NaNs are counted and take no part, wherever they stand") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      for (const std::size_t period : {1, 2, 50}) {
        check_ranges(table, offset, s, any_values(s.rows * s.run, 3, period));
      }
    }
  });
}

TEST_CASE("range: a single NaN is seen at every position of a run") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const std::size_t run : {16, 40, 64, 100, 200}) {
      for (std::size_t at = 0; at < run; ++at) {
        std::vector<float> x(run, 1.0f);
        x[at] = std::numeric_limits<float>::quiet_NaN();
        check_ranges(table, offset, {1, run}, x);
      }
    }
  });
}

TEST_CASE("range: the reference finds the extremes, counts what is not finite and reports -0 as +0") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {3.0f,  -2.0f, inf,   1.0f,  //
                                nan,   nan,   inf,   -inf,  //
                                -0.0f, -0.0f, -0.0f, nan};
  std::vector<Range> out(3);
  reference().range(x.data(), 3, 4, out.data());
  CHECK(out[0].lo == -2.0f);
  CHECK(out[0].hi == 3.0f);
  CHECK(out[0].nonfinite == 1);
  CHECK(out[1].lo == 0.0f);
  CHECK(out[1].hi == 0.0f);
  CHECK(out[1].nonfinite == 4);
  CHECK(!std::signbit(out[2].lo));
  CHECK(!std::signbit(out[2].hi));
  Range empty = {1.0f, 1.0f, 1};
  reference().range(x.data(), 1, 0, &empty);
  CHECK(empty.lo == 0.0f);
  CHECK(empty.hi == 0.0f);
  CHECK(empty.nonfinite == 0);
}
