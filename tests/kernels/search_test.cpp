// The searches for scales: every table to the bit like the reference, and what they promise of their results.
#include <algorithm>
#include <array>

#include "tests/kernels/compare.hpp"
#include "tests/kernels/levels.hpp"

namespace kernel_test {
namespace {

using mq::kernels::AffineSearch;
using mq::kernels::Range;

constexpr AffineSearch kSigned4 = {.levels = nullptr,
                                   .code_min = -8,
                                   .code_max = 7,
                                   .zero_point = 0,
                                   .own_zero_points = false,
                                   .either_sign = true,
                                   .both_signs = false,
                                   .shrink = 0.9f,
                                   .grow = 1.2f,
                                   .crest = 2.4f,
                                   .candidates = 16,
                                   .refinements = 2};

std::vector<AffineSearch> searches() {
  AffineSearch full = kSigned4;
  full.either_sign = false;
  AffineSearch narrow = full;
  narrow.code_min = -7;
  AffineSearch asymmetric = full;
  asymmetric.code_min = 0;
  asymmetric.code_max = 15;
  asymmetric.own_zero_points = true;
  AffineSearch unsigned_8 = full;
  unsigned_8.code_min = 1;
  unsigned_8.code_max = 255;
  unsigned_8.zero_point = 128;
  unsigned_8.candidates = 7;
  AffineSearch signed_2 = asymmetric;
  signed_2.code_min = -2;
  signed_2.code_max = 1;
  signed_2.own_zero_points = false;
  signed_2.either_sign = signed_2.both_signs = true;
  signed_2.candidates = 2;
  signed_2.refinements = 0;
  AffineSearch uneven = full;
  uneven.levels = &kUneven;
  uneven.code_min = -127;
  uneven.code_max = 113;
  uneven.either_sign = true;
  AffineSearch e2m1 = full;
  e2m1.levels = &kE2m1;
  e2m1.code_min = -6;
  e2m1.code_max = 6;
  return {kSigned4, full, narrow, asymmetric, unsigned_8, signed_2, uneven, e2m1};
}

std::vector<float> weights(std::size_t n, unsigned seed) {
  std::vector<float> all = finite_values(n, seed);
  for (float& w : all) w = std::min(std::fabs(w), 1e6f);
  return all;
}

struct Found {
  Output<float> scale, zero_point;
  Found(std::size_t rows, std::size_t offset) : scale(rows, offset), zero_point(rows, offset) {}
};

Found search(const KernelTable& table, const AffineSearch& how, const std::vector<float>& x,
             const std::vector<float>& w, Shape s, std::size_t offset) {
  const Input<float> in(x, offset), in_weights(w, offset);
  std::vector<Range> ranges(s.rows);
  reference().range(in.data(), s.rows, s.run, ranges.data());
  Found found(s.rows, offset);
  table.search_affine(how, {in.data(), w.empty() ? nullptr : in_weights.data(), s.rows, s.run, ranges.data()},
                      found.scale.data(), found.zero_point.data());
  return found;
}

void check_like_reference(const std::vector<float>& x, const std::vector<float>& w, Shape s) {
  for (const AffineSearch& how : searches()) {
    const Found expected = search(reference(), how, x, w, s, 0);
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      const Found found = search(table, how, x, w, s, offset);
      check_same(found.scale, expected.scale, describe(table, offset, s) + ", scale");
      check_same(found.zero_point, expected.zero_point, describe(table, offset, s) + ", zero point");
    });
  }
}

TEST_CASE("search_affine: every table finds what the reference finds") {
  for (const Shape s : shapes()) {
    const std::size_t n = s.rows * s.run;
    check_like_reference(finite_values(n, 11), {}, s);
    check_like_reference(any_values(n, 12, 5), weights(n, 13), s);
  }
}

TEST_CASE("search_affine: long blocks, whose sums are formed in lanes") {
  for (const std::size_t run : {2047, 2048, 2049, 2063, 4096, 11008}) {
    const Shape s{3, run};
    check_like_reference(finite_values(s.rows * run, 21), {}, s);
    check_like_reference(any_values(s.rows * run, 22, 50), weights(s.rows * run, 23), s);
  }
}

TEST_CASE("search_affine: any bits, subnormal and huge blocks give finite scales") {
  const Shape s{40, 32};
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::vector<float> x = random_bits(s.rows * s.run, seed);
    check_like_reference(x, {}, s);
    for (const AffineSearch& how : searches()) {
      const Found found = search(reference(), how, x, {}, s, 0);
      for (std::size_t r = 0; r < s.rows; ++r) {
        CHECK(std::isfinite(found.scale[r]));
        CHECK(found.zero_point[r] >= how.code_min);
        CHECK(found.zero_point[r] <= how.code_max);
      }
    }
  }
}

TEST_CASE("search_affine: values on a grid of the codes are found exactly") {
  std::vector<float> x;
  for (int r = 0; r < 20; ++r) {
    for (int i = 0; i < 64; ++i)
      x.push_back(0x1p-6f * static_cast<float>((i * 7 + r) % 16 - 8) * (r % 2 == 0 ? 1 : -1));
  }
  const Found found = search(reference(), kSigned4, x, {}, {20, 64}, 0);
  for (std::size_t r = 0; r < 20; ++r) CHECK(found.scale[r] == (r % 2 == 0 ? 0x1p-6f : -0x1p-6f));
}

TEST_CASE("search_affine: blocks of one value are that value") {
  for (const AffineSearch& how : searches()) {
    if (how.levels != nullptr) continue;
    for (const float value : {3.0f, -3.0f}) {
      const Found found = search(reference(), how, std::vector<float>(32, value), {}, {1, 32}, 0);
      // The code that the value gets leads back to it.
      const float code = std::round(value / found.scale[0]);
      CHECK(found.scale[0] != 0.0f);
      CHECK(code * found.scale[0] == doctest::Approx(value).epsilon(1e-6));
    }
  }
}

TEST_CASE("search_affine: zeros and blocks without weight have scale 0") {
  const Found zeros = search(reference(), kSigned4, std::vector<float>(32), {}, {2, 16}, 0);
  CHECK(zeros.scale[0] == 0.0f);
  CHECK(zeros.scale[1] == 0.0f);
  const Found weightless = search(reference(), kSigned4, finite_values(32, 3), std::vector<float>(32), {2, 16}, 0);
  CHECK(weightless.scale[0] == 0.0f);
}

TEST_CASE("search_affine: elements of no weight do not matter") {
  std::vector<float> x = finite_values(64, 5), w(64, 1.0f);
  for (float& v : x) v = std::fmod(v, 4.0f);
  for (std::size_t i = 0; i < 64; i += 3) w[i] = 0;
  std::vector<float> other = x;
  for (std::size_t i = 3; i < 64; i += 3) other[i] = 0.5f * x[i];
  x[0] = other[0] = 4.0f;  // the same range
  const Found a = search(reference(), kSigned4, x, w, {1, 64}, 0);
  const Found b = search(reference(), kSigned4, other, w, {1, 64}, 0);
  CHECK(a.scale[0] == doctest::Approx(b.scale[0]).epsilon(0.02));
}

}  // namespace
}  // namespace kernel_test
