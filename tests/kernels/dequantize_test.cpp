#include "tests/kernels/compare.hpp"

using namespace kernel_test;

namespace {

// Inputs for one shape: any bytes serve as codes of any kind.
struct Case {
  std::size_t n;
  Input<std::uint8_t> bytes;
  Input<float> scale;
  Input<float> zero_point;

  Case(Shape s, std::size_t offset, unsigned seed, int zero_limit)
      : n(s.rows * s.run),
        bytes(random_bytes(n, seed), offset),
        scale(scales(s.rows, seed + 1, true), offset),
        zero_point(zero_points(s.rows, seed + 2, -zero_limit, zero_limit), offset) {}
};

}  // namespace

TEST_CASE("dequantize_i8 and dequantize_u8: every table agrees with the reference") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      for (const int zero_limit : {0, 255, 1 << 20}) {
        const Case c(s, offset, static_cast<unsigned>(s.run), zero_limit);
        const auto* codes = reinterpret_cast<const std::int8_t*>(c.bytes.data());
        Output<float> expected(c.n, offset), found(c.n, offset);
        reference().dequantize_i8(codes, s.rows, s.run, c.scale.data(), c.zero_point.data(), expected.data());
        table.dequantize_i8(codes, s.rows, s.run, c.scale.data(), c.zero_point.data(), found.data());
        check_same(found, expected, describe(table, offset, s));
        reference().dequantize_u8(c.bytes.data(), s.rows, s.run, c.scale.data(), c.zero_point.data(), expected.data());
        table.dequantize_u8(c.bytes.data(), s.rows, s.run, c.scale.data(), c.zero_point.data(), found.data());
        check_same(found, expected, describe(table, offset, s));
      }
    }
  });
}

TEST_CASE("dequantize_4: every table agrees with the reference, odd runs included") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const Shape s : shapes()) {
      for (const int zero_limit : {0, 15, 1 << 20}) {
        Case c(s, offset, static_cast<unsigned>(s.run), zero_limit);
        const Input<std::uint8_t> packed(random_bytes((c.n + 1) / 2, 3), offset);
        Output<float> expected(c.n, offset), found(c.n, offset);
        reference().dequantize_4(packed.data(), s.rows, s.run, c.scale.data(), c.zero_point.data(), expected.data());
        table.dequantize_4(packed.data(), s.rows, s.run, c.scale.data(), c.zero_point.data(), found.data());
        check_same(found, expected, describe(table, offset, s));
      }
    }
  });
}

TEST_CASE("dequantize: the reference is (q - zero_point) * scale with one rounding, for every code") {
  const std::vector<float> scale = scales(50, 1, true), zero_point = zero_points(50, 2, -300, 300);
  for (std::size_t r = 0; r < scale.size(); ++r) {
    for (int code = 0; code < 256; ++code) {
      const auto u8 = static_cast<std::uint8_t>(code);
      const auto i8 = static_cast<std::int8_t>(code);
      const auto nibbles = static_cast<std::uint8_t>(code);
      const auto value = [&](double q) { return static_cast<float>((q - double{zero_point[r]}) * double{scale[r]}); };
      float y = 0;
      reference().dequantize_u8(&u8, 1, 1, &scale[r], &zero_point[r], &y);
      CHECK(y == value(u8));
      reference().dequantize_i8(&i8, 1, 1, &scale[r], &zero_point[r], &y);
      CHECK(y == value(i8));
      float pair[2];
      reference().dequantize_4(&nibbles, 1, 2, &scale[r], &zero_point[r], pair);
      CHECK(pair[0] == value(code % 16));
      CHECK(pair[1] == value(code / 16));
    }
  }
}
