// Floats of 8 bits with a scale per run.
#include <algorithm>

#include "tests/kernels/compare.hpp"
#include "tests/kernels/oracle.hpp"

using namespace kernel_test;

namespace {

using Encode = void (*KernelTable::*)(const float*, std::size_t, std::size_t, const float*, std::uint8_t*) noexcept;
using Decode = void (*KernelTable::*)(const std::uint8_t*, std::size_t, std::size_t, const float*, float*) noexcept;

struct Fp8 {
  const char* name;
  Format format;
  Encode encode;
  Decode decode;
};

const Fp8 kFormats[] = {{"e4m3", kE4m3, &KernelTable::quantize_e4m3, &KernelTable::dequantize_e4m3},
                        {"e5m2", kE5m2, &KernelTable::quantize_e5m2, &KernelTable::dequantize_e5m2}};

void check_encode(const Fp8& f, const KernelTable& table, std::size_t offset, Shape s, const std::vector<float>& x) {
  const Input<float> in(x, offset), scale(scales(s.rows, 7, true), offset);
  Output<std::uint8_t> expected(x.size(), offset), found(x.size(), offset);
  (reference().*f.encode)(in.data(), s.rows, s.run, scale.data(), expected.data());
  (table.*f.encode)(in.data(), s.rows, s.run, scale.data(), found.data());
  check_same(found, expected, describe(table, offset, s) + ", " + f.name);
}

}  // namespace

TEST_CASE("quantize_e4m3 and quantize_e5m2: every table agrees with the reference") {
  for (const Fp8& f : kFormats) {
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      for (const Shape s : shapes()) {
        check_encode(f, table, offset, s, finite_values(s.rows * s.run, 1));
        check_encode(f, table, offset, s, any_values(s.rows * s.run, 2, 40));
      }
    });
  }
}

TEST_CASE("dequantize_e4m3 and dequantize_e5m2: every table agrees with the reference") {
  for (const Fp8& f : kFormats) {
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      for (const Shape s : shapes()) {
        const std::size_t n = s.rows * s.run;
        const Input<std::uint8_t> q(random_bytes(n, 3), offset);
        const Input<float> scale(scales(s.rows, 7, true), offset);
        Output<float> expected(n, offset), found(n, offset);
        (reference().*f.decode)(q.data(), s.rows, s.run, scale.data(), expected.data());
        (table.*f.decode)(q.data(), s.rows, s.run, scale.data(), found.data());
        check_same(found, expected, describe(table, offset, s) + ", " + f.name);
      }
    });
  }
}

TEST_CASE("quantize_e4m3 and quantize_e5m2: the reference takes the code nearest to x / scale, by search over all") {
  const std::vector<float> x = finite_values(3000, 4), scale = scales(x.size(), 5, true);
  for (const Fp8& f : kFormats) {
    INFO(f.name);
    const std::vector<double> values = magnitudes(f.format);
    std::vector<std::uint8_t> q(x.size());
    (reference().*f.encode)(x.data(), x.size(), 1, scale.data(), q.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float quotient = x[i] / scale[i];
      const unsigned sign = std::signbit(quotient) ? 0x80u : 0u;
      CHECK(q[i] == (nearest_code(values, quotient, false) | sign));
    }
  }
}

TEST_CASE("dequantize_e4m3 and dequantize_e5m2: the reference is the value of the code times the scale") {
  const std::vector<float> scale = scales(20, 6, true);
  for (const Fp8& f : kFormats) {
    INFO(f.name);
    for (const float s : scale) {
      for (unsigned code = 0; code < 256; ++code) {
        const auto q = static_cast<std::uint8_t>(code);
        float y = 0;
        (reference().*f.decode)(&q, 1, 1, &s, &y);
        const auto expected = static_cast<float>(value_of(f.format, code) * double{s});
        CHECK((y == expected || (std::isnan(y) && std::isnan(expected))));
      }
    }
  }
}
