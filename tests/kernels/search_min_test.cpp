// The search for a scale and a least value, and the choice among given ones: every table to the bit like the reference,
// and what they promise.
#include <algorithm>

#include "tests/kernels/compare.hpp"
#include "tests/kernels/levels.hpp"

namespace kernel_test {
namespace {

using mq::kernels::CodeSums;
using mq::kernels::kMaxMinRun;
using mq::kernels::Levels;
using mq::kernels::MinSearch;

constexpr MinSearch kFour = {
    .code_max = 15, .min_below_zero = false, .shrink = 0.9f, .grow = 1.1f, .candidates = 24, .refinements = 1};

std::vector<MinSearch> searches() {
  MinSearch below = kFour;
  below.min_below_zero = true;
  MinSearch two = below;
  two.code_max = 3;
  two.grow = 1.5f;
  two.candidates = 7;
  two.refinements = 3;
  MinSearch few = kFour;
  few.code_max = 31;
  few.candidates = 2;
  few.refinements = 0;
  return {kFour, below, two, few};
}

std::vector<float> weights(std::size_t n, unsigned seed) {
  std::vector<float> all = finite_values(n, seed);
  for (float& w : all) w = std::min(std::fabs(w), 1e6f);
  return all;
}

struct Found {
  Output<float> scale, min;
  Found(std::size_t rows, std::size_t offset) : scale(rows, offset), min(rows, offset) {}
};

Found search(const KernelTable& table, const MinSearch& how, const std::vector<float>& x, const std::vector<float>& w,
             Shape s, std::size_t offset) {
  const Input<float> in(x, offset), in_weights(w, offset);
  Found found(s.rows, offset);
  table.search_min(how, {in.data(), w.empty() ? nullptr : in_weights.data(), s.rows, s.run, nullptr},
                   found.scale.data(), found.min.data());
  return found;
}

void check_search(const std::vector<float>& x, const std::vector<float>& w, Shape s) {
  for (const MinSearch& how : searches()) {
    const Found expected = search(reference(), how, x, w, s, 0);
    for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
      const Found found = search(table, how, x, w, s, offset);
      check_same(found.scale, expected.scale, describe(table, offset, s) + ", scale");
      check_same(found.min, expected.min, describe(table, offset, s) + ", min");
    });
  }
}

// Scale, least value, error and sums of each run chosen among four scales, one of them 0, and one or two least values.
Output<float> choose(const KernelTable& table, const std::vector<float>& x, const std::vector<float>& w, Shape s,
                     bool with_min, const Levels* levels, std::size_t offset) {
  std::vector<float> scale, min;
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::size_t r = 0; r < s.rows; ++r) {
      scale.push_back(k == 1 ? 0.0f : 0.125f * static_cast<float>((r + k) % 5 + 1) * ((r + k) % 3 == 0 ? 1.0f : -1.0f));
      min.push_back(-0.25f * static_cast<float>(k + r % 2));
    }
  }
  const Input<float> in(x, offset), in_weights(w, offset), in_scale(scale, offset), in_min(min, offset);
  Output<float> error(s.rows, offset), out(9 * s.rows, 0);
  Output<std::uint8_t> scale_index(s.rows, offset), min_index(s.rows, offset);
  std::vector<CodeSums> sums(s.rows);
  table.choose_candidate({levels, in_scale.data(), with_min ? in_min.data() : nullptr, 4, with_min ? 2u : 1u, -8, 7},
                         {in.data(), w.empty() ? nullptr : in_weights.data(), s.rows, s.run, nullptr},
                         {scale_index.data(), min_index.data(), error.data(), sums.data()});
  for (std::size_t r = 0; r < s.rows; ++r) {
    const float all[] = {static_cast<float>(scale_index[r]),
                         static_cast<float>(min_index[r]),
                         error[r],
                         sums[r].w,
                         sums[r].wx,
                         sums[r].wxx,
                         sums[r].wq,
                         sums[r].wqq,
                         sums[r].wqx};
    std::copy(std::begin(all), std::end(all), out.data() + 9 * r);
  }
  return out;
}

void check_choice(const std::vector<float>& x, const std::vector<float>& w, Shape s) {
  for (const bool with_min : {false, true}) {
    for (const Levels* levels : {static_cast<const Levels*>(nullptr), &kE2m1, &kUneven}) {
      const Output<float> expected = choose(reference(), x, w, s, with_min, levels, 0);
      for_each_table_and_offset([&](const KernelTable& table, std::size_t offset) {
        check_same(choose(table, x, w, s, with_min, levels, offset), expected, describe(table, offset, s));
      });
    }
  }
}

std::vector<Shape> short_runs() {
  std::vector<Shape> list;
  for (const std::size_t run :
       {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{16}, std::size_t{32}, kMaxMinRun}) {
    for (const std::size_t rows : {0, 1, 7, 8, 15, 16, 17, 33}) list.push_back({rows, run});
  }
  return list;
}

TEST_CASE("search_min and choose_candidate: every table finds what the reference finds") {
  for (const Shape s : short_runs()) {
    const std::size_t n = s.rows * s.run;
    check_search(finite_values(n, 11), {}, s);
    check_search(any_values(n, 12, 5), weights(n, 13), s);
    check_choice(finite_values(n, 14), {}, s);
    check_choice(any_values(n, 15, 5), weights(n, 16), s);
  }
}

TEST_CASE("search_min: any bits, subnormal and huge blocks give finite numbers") {
  const Shape s{40, 32};
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::vector<float> x = random_bits(s.rows * s.run, seed);
    check_search(x, {}, s);
    for (const MinSearch& how : searches()) {
      const Found found = search(reference(), how, x, {}, s, 0);
      for (std::size_t r = 0; r < s.rows; ++r) {
        CHECK(std::isfinite(found.scale[r]));
        CHECK(std::isfinite(found.min[r]));
        CHECK(found.scale[r] >= 0);
        if (how.min_below_zero) CHECK(found.min[r] <= 0);
      }
    }
  }
}

TEST_CASE("search_min: values on a line are found exactly, and one value is a least value without a scale") {
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(0.25f * static_cast<float>(i * 7 % 16) - 1.0f);
  for (int i = 0; i < 32; ++i) x.push_back(-0.75f);
  const Found found = search(reference(), kFour, x, {}, {2, 32}, 0);
  CHECK(found.scale[0] == 0.25f);
  CHECK(found.min[0] == -1.0f);
  CHECK(found.scale[1] == 0.0f);
  CHECK(found.min[1] == -0.75f);
}

struct Choice {
  std::uint8_t scale, min;
  float error;
  CodeSums sums;
};

// Among whole numbers from -2 to 1.
Choice choice_of(const std::vector<float>& x, const std::vector<float>& scales, const std::vector<float>& mins) {
  Choice made;
  reference().choose_candidate({nullptr, scales.data(), mins.empty() ? nullptr : mins.data(), scales.size(),
                                std::max<std::size_t>(mins.size(), 1), -2, 1},
                               {x.data(), nullptr, 1, x.size(), nullptr},
                               {&made.scale, &made.min, &made.error, &made.sums});
  return made;
}

TEST_CASE("choose_candidate: a value that is no code costs its distance from the nearest") {
  const std::vector<float> x{0.0f, 0.5f, 1.25f, -3.0f};
  CHECK(choice_of(x, {1.0f}, {}).error == 0.25f + 0.0625f + 1.0f);
  CHECK(choice_of(x, {0.0f}, {}).error == 0.25f + 1.5625f + 9.0f);
}

TEST_CASE("choose_candidate: the least error wins, of equal ones the middle one, or the first") {
  const std::vector<float> x{-2.0f, 1.0f, 0.0f, 1.0f};
  CHECK(choice_of(x, {0.5f, 1.0f, 2.0f}, {}).scale == 1);
  CHECK(choice_of(x, {1.0f, 0.5f, 2.0f}, {}).scale == 0);
  CHECK(choice_of(x, {1.0f, 1.0f, 1.0f}, {}).scale == 1);
  CHECK(choice_of(x, {1.0f, 2.0f, 1.0f}, {}).scale == 0);
  CHECK(choice_of(x, {1.0f, 0.5f}, {-1.0f, 0.0f}).min == 1);
  CHECK(choice_of(x, {0.5f, 1.0f}, {-1.0f, 0.0f}).min == 1);
}

TEST_CASE("choose_candidate: the sums are those of the codes chosen") {
  const CodeSums sums = choice_of({-4.0f, 2.0f, 0.5f, 2.0f}, {2.0f}, {}).sums;  // codes -2, 1, 0, 1
  CHECK(sums.w == 4.0f);
  CHECK(sums.wx == 0.5f);
  CHECK(sums.wxx == 24.25f);
  CHECK(sums.wq == 0.0f);
  CHECK(sums.wqq == 6.0f);
  CHECK(sums.wqx == 12.0f);
}

}  // namespace
}  // namespace kernel_test
