#include <cmath>

#include "tests/kernels/compare.hpp"

using namespace kernel_test;

namespace {

struct Limits {
  float qmin;
  float qmax;
};

std::vector<float> inverted(std::vector<float> s) {
  for (float& v : s) v = 1.0f / v;
  return s;
}

struct Parameters {
  std::vector<float> inv_scale;
  std::vector<float> zero_point;
};

Parameters parameters(std::size_t rows, unsigned seed, int zero_lo, int zero_hi) {
  // 1 / 1e-40 is no number: scales like that are widened before they get here.
  return {inverted(scales(rows, seed, false)), zero_points(rows, seed + 1, zero_lo, zero_hi)};
}

void check_codes_8(const KernelTable& table, std::size_t offset, Shape s, const Parameters& p, Limits limits) {
  const std::size_t n = s.rows * s.run;
  const Input<float> x(finite_values(n, static_cast<unsigned>(n)), offset);
  const Input<float> inv(p.inv_scale, offset), zero(p.zero_point, offset);
  Output<std::uint8_t> expected(n, offset), found(n, offset);
  reference().quantize_8(x.data(), s.rows, s.run, inv.data(), zero.data(), limits.qmin, limits.qmax, expected.data());
  table.quantize_8(x.data(), s.rows, s.run, inv.data(), zero.data(), limits.qmin, limits.qmax, found.data());
  check_same(found, expected, describe(table, offset, s));
}

void check_codes_4(const KernelTable& table, std::size_t offset, Shape s, const Parameters& p, Limits limits) {
  const std::size_t n = s.rows * s.run;
  const Input<float> x(finite_values(n, static_cast<unsigned>(n)), offset);
  const Input<float> inv(p.inv_scale, offset), zero(p.zero_point, offset);
  Output<std::uint8_t> expected((n + 1) / 2, offset), found((n + 1) / 2, offset);
  reference().quantize_4(x.data(), s.rows, s.run, inv.data(), zero.data(), limits.qmin, limits.qmax, expected.data());
  table.quantize_4(x.data(), s.rows, s.run, inv.data(), zero.data(), limits.qmin, limits.qmax, found.data());
  check_same(found, expected, describe(table, offset, s));
}

// Codes as of the plain kernel; sums as error_sums() has them of what those decode to, after others.
void check_measured(const KernelTable& table, std::size_t offset, Shape s, Limits limits, bool nibbles, int zero_lo,
                    int zero_hi) {
  const std::size_t n = s.rows * s.run;
  const std::size_t bytes = nibbles ? n / 2 : n;
  const Input<float> x(finite_values(n, static_cast<unsigned>(n)), offset);
  const std::vector<float> scale = scales(s.rows, 21, false);
  const std::vector<float> zero = zero_points(s.rows, 22, zero_lo, zero_hi);
  const std::vector<float> inverse = inverted(scale);
  Output<std::uint8_t> expected(bytes, offset), found(bytes, offset);
  std::vector<float> y(n);
  if (nibbles) {
    reference().quantize_4(x.data(), s.rows, s.run, inverse.data(), zero.data(), limits.qmin, limits.qmax,
                           expected.data());
    reference().dequantize_4(expected.data(), s.rows, s.run, scale.data(), zero.data(), y.data());
  } else {
    reference().quantize_8(x.data(), s.rows, s.run, inverse.data(), zero.data(), limits.qmin, limits.qmax,
                           expected.data());
    if (limits.qmin < 0) {
      reference().dequantize_i8(reinterpret_cast<const std::int8_t*>(expected.data()), s.rows, s.run, scale.data(),
                                zero.data(), y.data());
    } else {
      reference().dequantize_u8(expected.data(), s.rows, s.run, scale.data(), zero.data(), y.data());
    }
  }
  mq::kernels::ErrorSums sums{};
  reference().error_sums(x.data(), y.data(), n, &sums);
  const mq::kernels::AffineRuns runs{inverse.data(), scale.data(), zero.data(), limits.qmin, limits.qmax};
  mq::kernels::ErrorSums measured{};
  (nibbles ? table.quantize_4_measured : table.quantize_8_measured)(x.data(), s.rows, s.run, runs, found.data(),
                                                                    &measured);
  check_same(found, expected, describe(table, offset, s));
  check_sums(measured, sums);
}

}  // namespace

TEST_CASE("quantize_8: every table agrees with the reference for signed, unsigned and narrow codes") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      check_codes_8(table, offset, s, parameters(s.rows, 1, 0, 0), {-128, 127});
      check_codes_8(table, offset, s, parameters(s.rows, 2, -127, 127), {-127, 127});
      check_codes_8(table, offset, s, parameters(s.rows, 3, 0, 255), {0, 255});
      check_codes_8(table, offset, s, parameters(s.rows, 4, 0, 15), {0, 15});
    }
  });
}

TEST_CASE("quantize_8: codes wider than a byte keep their low byte") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : {Shape{3, 100}, Shape{2, 16}, Shape{70, 1}}) {
      check_codes_8(table, offset, s, parameters(s.rows, 5, -500, 500), {-100, 200});
      check_codes_8(table, offset, s, parameters(s.rows, 6, -500, 500), {-40000, 40000});
    }
  });
}

TEST_CASE("quantize_8: zero points far outside the codes still count exactly") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      check_codes_8(table, offset, s, parameters(s.rows, 7, -16384, 16384), {-128, 127});
      check_codes_8(table, offset, s, parameters(s.rows, 8, -(1 << 20), 1 << 20), {0, 255});
    }
  });
}

TEST_CASE("quantize_8: inverse scales at the ends of the float range saturate or vanish alike") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      Parameters p = {scales(s.rows, 9, true), zero_points(s.rows, 10, -128, 127)};
      check_codes_8(table, offset, s, p, {-128, 127});
    }
  });
}

TEST_CASE("quantize_4: every table agrees with the reference, odd runs included") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      check_codes_4(table, offset, s, parameters(s.rows, 11, 8, 8), {0, 15});
      check_codes_4(table, offset, s, parameters(s.rows, 12, 0, 15), {1, 15});
      check_codes_4(table, offset, s, parameters(s.rows, 13, -(1 << 20), 1 << 20), {0, 7});
    }
  });
}

TEST_CASE("quantize_8: the reference rounds ties to even, then clamps") {
  const std::vector<float> x = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 2.4999998f, 200.0f, -1e30f, 3e38f, -0.0f};
  const std::vector<int> expected = {-2, -2, 0, 0, 2, 2, 2, 127, -128, 127, 0};
  const float one = 1.0f, zero = 0.0f;
  std::vector<std::uint8_t> q(x.size());
  reference().quantize_8(x.data(), 1, x.size(), &one, &zero, -128, 127, q.data());
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(static_cast<std::int8_t>(q[i]) == expected[i]);
}

TEST_CASE("quantize_8: the reference is the contract evaluated in double precision") {
  const std::vector<float> x = finite_values(4000, 14);
  const Parameters p = parameters(x.size(), 15, -200, 200);
  std::vector<std::uint8_t> q(x.size());
  reference().quantize_8(x.data(), x.size(), 1, p.inv_scale.data(), p.zero_point.data(), -128, 127, q.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    // The product of two floats is exact in double, so this is their float product.
    const auto product = static_cast<float>(double{x[i]} * double{p.inv_scale[i]});
    const double v = std::nearbyint(double{product}) + double{p.zero_point[i]};
    const int expected = static_cast<int>(std::fmin(std::fmax(v, -128.0), 127.0));
    CHECK(static_cast<std::int8_t>(q[i]) == expected);
  }
}

TEST_CASE("quantize_4: the reference puts the first code in the low nibble and clears an odd last one") {
  const std::vector<float> x = {1.0f, 2.0f, 3.0f, 4.0f, 20.0f};
  const float one = 1.0f, zero = 0.0f;
  std::vector<std::uint8_t> packed(3, 0xff);
  reference().quantize_4(x.data(), 1, 5, &one, &zero, 0, 15, packed.data());
  CHECK(packed == std::vector<std::uint8_t>{0x21, 0x43, 0x0f});
}

TEST_CASE("quantize_8_measured and quantize_4_measured: codes and sums are those of the plain kernels") {
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    for (std::size_t offset = 0; offset < 4; ++offset) {
      for (const Shape s : {Shape{4, 16}, Shape{76, 16}, Shape{2, 32}, Shape{66, 32}, Shape{1, 64}, Shape{7, 64},
                            Shape{40, 128}, Shape{1, 576}, Shape{3, 1024}, Shape{1, 4160}, Shape{0, 64}}) {
        CAPTURE(table->name);
        check_measured(*table, offset, s, {-128, 127}, false, 0, 0);
        check_measured(*table, offset, s, {-127, 127}, false, -127, 127);
        check_measured(*table, offset, s, {0, 255}, false, 0, 255);
        check_measured(*table, offset, s, {0, 15}, false, -16384, 16384);
        check_measured(*table, offset, s, {0, 255}, false, -(1 << 20), 1 << 20);
        check_measured(*table, offset, s, {0, 15}, true, 8, 8);
        check_measured(*table, offset, s, {1, 15}, true, 0, 15);
      }
    }
  }
}
