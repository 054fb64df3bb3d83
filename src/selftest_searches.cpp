// Self-test: searches for scales, zero points and least values.
#include <array>

#include "mq/quant_spec.hpp"
#include "src/codecs/levels.hpp"
#include "src/selftest_checks.hpp"
#include "src/selftest_data.hpp"

namespace mq::detail {
namespace {

using kernels::AffineSearch;
using kernels::KernelTable;
using kernels::SearchBlocks;

// The reference is slow, and runs of these lengths fill and overflow lanes in both directions.
constexpr RunShape kShapes[] = {{1, 1}, {3, 7}, {17, 16}, {5, 33}, {16, 64}};

std::vector<AffineSearch> affine_searches() {
  const AffineSearch signed_4 = {.levels = nullptr,
                                 .code_min = -8,
                                 .code_max = 7,
                                 .zero_point = 0,
                                 .own_zero_points = false,
                                 .either_sign = true,
                                 .both_signs = false,
                                 .shrink = 0.9f,
                                 .grow = 1.2f,
                                 .crest = 2.4f,
                                 .candidates = 9,
                                 .refinements = 2};
  AffineSearch both = signed_4;
  both.both_signs = true;
  AffineSearch asymmetric = signed_4;
  asymmetric.either_sign = false;
  asymmetric.code_min = 0;
  asymmetric.code_max = 15;
  asymmetric.own_zero_points = true;
  AffineSearch levels = signed_4;
  levels.levels = &level_format(parse_spec("nf4"))->levels;
  levels.code_min = -1;
  levels.code_max = 1;
  return {signed_4, both, asymmetric, levels};
}

// Blocks to search, with weights or without.
struct Blocks {
  Blocks(const RunShape& s, std::size_t offset, const KernelTable& table)
      : shape(s), x(any_numbers(s.n(), 31), offset), weights(error_weights(s.n(), 32), offset), ranges(s.rows) {
    table.range(x.data(), s.rows, s.run, ranges.data());
  }
  SearchBlocks blocks(bool weighted) const {
    return {x.data(), weighted ? weights.data() : nullptr, shape.rows, shape.run, ranges.data()};
  }

  RunShape shape;
  Shifted<float> x, weights;
  std::vector<kernels::Range> ranges;
};

void check_affine(KernelChecks& checks, const RunShape& s, std::size_t offset, bool weighted) {
  for (const AffineSearch& how : affine_searches()) {
    checks.same<float>("search_affine", s.text(), offset, 2 * s.rows, [&](const KernelTable& k, float* out) {
      const Blocks blocks(s, offset, k);
      k.search_affine(how, blocks.blocks(weighted), out, out + s.rows);
    });
  }
  const std::vector<float> scales = scale_numbers(5 * s.rows, 33, false);
  for (const char* name : {"nf4", "mxfp4"}) {
    checks.same<std::uint8_t>(
        "choose_scale", s.text() + " " + name, offset, s.rows, [&](const KernelTable& k, std::uint8_t* out) {
          const Blocks blocks(s, offset, k);
          k.choose_scale(level_format(parse_spec(name))->levels, blocks.blocks(weighted), scales.data(), 5, out);
        });
  }
}

void check_min(KernelChecks& checks, const RunShape& s, std::size_t offset, bool weighted) {
  for (const bool below_zero : {false, true}) {
    const kernels::MinSearch how = {
        .code_max = 15, .min_below_zero = below_zero, .shrink = 0.9f, .grow = 1.1f, .candidates = 9, .refinements = 1};
    checks.same<float>("search_min", s.text(), offset, 2 * s.rows, [&](const KernelTable& k, float* out) {
      const Blocks blocks(s, offset, k);
      k.search_min(how, blocks.blocks(weighted), out, out + s.rows);
    });
  }
  const std::vector<float> scales = scale_numbers(4 * s.rows, 34, false);
  const std::vector<float> mins = modest_numbers(2 * s.rows, 35);
  const kernels::Levels& nf4 = level_format(parse_spec("nf4"))->levels;
  for (const kernels::Levels* levels : {static_cast<const kernels::Levels*>(nullptr), &nf4}) {
    checks.same<float>("choose_candidate", s.text(), offset, 9 * s.rows, [&](const KernelTable& k, float* out) {
      const Blocks blocks(s, offset, k);
      std::vector<std::uint8_t> scale(s.rows), min(s.rows);
      std::vector<kernels::CodeSums> sums(s.rows);
      k.choose_candidate({levels, scales.data(), mins.data(), 4, 2, -8, 7}, blocks.blocks(weighted),
                         {scale.data(), min.data(), out, sums.data()});
      out = std::copy(scale.begin(), scale.end(), out + s.rows);
      out = std::copy(min.begin(), min.end(), out);
      for (const kernels::CodeSums& run : sums) {
        for (const float sum : {run.w, run.wx, run.wxx, run.wq, run.wqq, run.wqx}) *out++ = sum;
      }
    });
  }
}

}  // namespace

void check_searches(KernelChecks& checks) {
  for (const RunShape& s : kShapes) {
    for (const std::size_t offset : {0, 1}) {
      for (const bool weighted : {false, true}) {
        check_affine(checks, s, offset, weighted);
        check_min(checks, s, offset, weighted);
      }
    }
  }
}

}  // namespace mq::detail
