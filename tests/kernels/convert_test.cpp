// Conversions of single elements between float and the smaller floats.
#include <algorithm>
#include <bit>

#include "tests/kernels/compare.hpp"
#include "tests/kernels/oracle.hpp"

using namespace kernel_test;

namespace {

// Both directions of one format.
template <class Small>
struct Conversion {
  const char* name;
  Format format;
  bool saturates;
  void (*KernelTable::*widen)(const Small*, std::size_t, float*) noexcept;
  void (*KernelTable::*narrow)(const float*, std::size_t, Small*) noexcept;
};

const Conversion<std::uint16_t> kF16Conversion = {"f16", kF16, false, &KernelTable::f16_to_f32,
                                                  &KernelTable::f32_to_f16};
const Conversion<std::uint16_t> kBf16Conversion = {"bf16", kBf16, false, &KernelTable::bf16_to_f32,
                                                   &KernelTable::f32_to_bf16};
const Conversion<std::uint8_t> kE4m3Conversion = {"e4m3", kE4m3, true, &KernelTable::e4m3_to_f32,
                                                  &KernelTable::f32_to_e4m3};
const Conversion<std::uint8_t> kE5m2Conversion = {"e5m2", kE5m2, true, &KernelTable::e5m2_to_f32,
                                                  &KernelTable::f32_to_e5m2};

template <class F>
void for_each_conversion(F f) {
  f(kF16Conversion);
  f(kBf16Conversion);
  f(kE4m3Conversion);
  f(kE5m2Conversion);
}

template <class Small>
std::vector<Small> all_codes(const Conversion<Small>& c) {
  std::vector<Small> codes(std::size_t{2} << c.format.code_bits());
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<Small>(i);
  return codes;
}

// Every value of the format, the middle to the next and their neighbours among the floats, with both signs.
template <class Small>
std::vector<float> around_every_value(const Conversion<Small>& c) {
  std::vector<double> values = magnitudes(c.format);
  values.push_back(2 * values.back() - values[values.size() - 2]);
  std::vector<float> x;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    for (const double v : {values[i], (values[i] + values[i + 1]) / 2}) {
      const auto f = static_cast<float>(v);
      for (const float near : {f, std::nextafter(f, 0.0f), std::nextafter(f, 3.4028235e38f)}) {
        x.push_back(near);
        x.push_back(-near);
      }
    }
  }
  for (const float far : {static_cast<float>(values.back()), 1e5f, 1e30f, 3.4028235e38f}) {
    x.push_back(far);
    x.push_back(-far);
  }
  return x;
}

template <class Small>
void check_narrow(const Conversion<Small>& c, const KernelTable& table, const std::vector<float>& x,
                  std::size_t offset) {
  const Input<float> in(x, offset);
  Output<Small> expected(x.size(), offset), found(x.size(), offset);
  (reference().*c.narrow)(in.data(), x.size(), expected.data());
  (table.*c.narrow)(in.data(), x.size(), found.data());
  check_same(found, expected, describe(table, offset, c.name + std::string(" of ") + std::to_string(x.size())));
}

template <class Small>
void check_widen(const Conversion<Small>& c, const KernelTable& table, const std::vector<Small>& x,
                 std::size_t offset) {
  const Input<Small> in(x, offset);
  Output<float> expected(x.size(), offset), found(x.size(), offset);
  (reference().*c.widen)(in.data(), x.size(), expected.data());
  (table.*c.widen)(in.data(), x.size(), found.data());
  check_same(found, expected, describe(table, offset, c.name + std::string(" of ") + std::to_string(x.size())));
}

}  // namespace

TEST_CASE("widening: the reference gives the value of every code of f16, bf16, e4m3 and e5m2") {
  for_each_conversion([](const auto& c) {
    INFO(c.name);
    const auto codes = all_codes(c);
    std::vector<float> y(codes.size());
    (reference().*c.widen)(codes.data(), codes.size(), y.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const double expected = value_of(c.format, static_cast<unsigned>(i));
      const bool same = std::isnan(expected)
                            ? std::isnan(y[i])
                            : std::bit_cast<std::uint64_t>(double{y[i]}) == std::bit_cast<std::uint64_t>(expected);
      const bool same_sign = std::signbit(y[i]) == (i >= codes.size() / 2);
      wrong += !same || !same_sign;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("narrowing: the reference takes the nearest value, ties to the even code") {
  for_each_conversion([](const auto& c) {
    INFO(c.name);
    const std::vector<double> values = magnitudes(c.format);
    std::vector<float> x = around_every_value(c);
    const std::vector<float> more = finite_values(20000, 1);
    x.insert(x.end(), more.begin(), more.end());
    using Small = std::remove_reference_t<decltype(all_codes(c)[0])>;
    std::vector<Small> y(x.size());
    (reference().*c.narrow)(x.data(), x.size(), y.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const unsigned sign = std::signbit(x[i]) ? 1u << c.format.code_bits() : 0u;
      wrong += y[i] != (nearest_code(values, x[i], !c.saturates) | sign);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("narrowing: infinities overflow to infinity or saturate, NaNs become the format's quiet NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {inf, -inf, std::bit_cast<float>(0x7fc00000u), std::bit_cast<float>(0xffa12345u)};
  std::vector<std::uint16_t> halves(4);
  std::vector<std::uint8_t> bytes(4);
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    CAPTURE(table->name);
    table->f32_to_f16(x.data(), 4, halves.data());
    CHECK(halves == std::vector<std::uint16_t>{0x7c00, 0xfc00, 0x7e00, 0xff09});
    table->f32_to_bf16(x.data(), 4, halves.data());
    CHECK(halves == std::vector<std::uint16_t>{0x7f80, 0xff80, 0x7fc0, 0x7fc0});
    table->f32_to_e4m3(x.data(), 4, bytes.data());
    CHECK(bytes == std::vector<std::uint8_t>{0x7e, 0xfe, 0x7f, 0xff});
    table->f32_to_e5m2(x.data(), 4, bytes.data());
    CHECK(bytes == std::vector<std::uint8_t>{0x7b, 0xfb, 0x7f, 0xff});
  }
}

TEST_CASE("widening: every table agrees with the reference on every code") {
  for_each_conversion([](const auto& c) {
    for_each_table_and_offset(
        [&](const KernelTable& table, std::size_t offset) { check_widen(c, table, all_codes(c), offset); });
  });
}

TEST_CASE("widening: every table agrees with the reference at every length") {
  for_each_conversion([](const auto& c) {
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      auto codes = all_codes(c);
      std::shuffle(codes.begin(), codes.end(), std::mt19937(1));
      for (const std::size_t n : lengths()) {
        auto some = codes;
        some.resize(n);
        check_widen(c, table, some, offset);
      }
    });
  });
}

TEST_CASE("narrowing: every table agrees with the reference around every value and on any bits") {
  for_each_conversion([](const auto& c) {
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      check_narrow(c, table, around_every_value(c), offset);
      check_narrow(c, table, random_bits(100000, static_cast<unsigned>(offset)), offset);
    });
  });
}

TEST_CASE("narrowing: every table agrees with the reference at every length, with and without NaNs") {
  for_each_conversion([](const auto& c) {
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      for (const std::size_t n : lengths()) {
        check_narrow(c, table, finite_values(n, 1), offset);
        check_narrow(c, table, any_values(n, 2, 20), offset);
      }
    });
  });
}
