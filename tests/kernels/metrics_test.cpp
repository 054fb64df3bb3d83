#include <cmath>

#include "tests/kernels/compare.hpp"

using namespace kernel_test;
using mq::kernels::ErrorSums;

namespace {

// The additions of one block in the order of the contract, written another way: lane by lane, the tree by recursion.
float lane_sum(const std::vector<float>& values, std::size_t first) {
  float sum = 0;
  for (std::size_t i = first; i < values.size(); i += 16) sum = std::fma(values[i], values[i], sum);
  return sum;
}

float tree_sum(const std::vector<float>& values, std::size_t lane, std::size_t distance) {
  if (distance == 16) return lane_sum(values, lane);
  return tree_sum(values, lane, 2 * distance) + tree_sum(values, lane + distance, 2 * distance);
}

double ordered_squares(const std::vector<float>& values) {
  double sum = 0;
  for (std::size_t begin = 0; begin < values.size(); begin += 1024) {
    const std::size_t end = std::min(values.size(), begin + 1024);
    sum += tree_sum(
        {values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end)}, 0, 1);
  }
  return sum;
}

}  // namespace

TEST_CASE("error_sums: every table agrees with the reference, values that overflow and are no numbers included") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const std::size_t n : lengths()) {
      for (const std::size_t period : {1000000, 100}) {
        const Input<float> x(any_values(n, 1, period), offset), y(any_values(n, 2, period), offset);
        ErrorSums expected, found;
        reference().error_sums(x.data(), y.data(), n, &expected);
        table.error_sums(x.data(), y.data(), n, &found);
        INFO(describe(table, offset, std::to_string(n)));
        check_sums(found, expected);
      }
    }
  });
}

TEST_CASE("error_sums: every table agrees with the reference on weights") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    std::mt19937 random(3);
    std::normal_distribution<float> weight(0.0f, 0.02f);
    for (const std::size_t n : lengths()) {
      std::vector<float> xs(n), ys(n);
      for (std::size_t i = 0; i < n; ++i) xs[i] = weight(random), ys[i] = xs[i] + 0.01f * weight(random);
      const Input<float> x(xs, offset), y(ys, offset);
      ErrorSums expected, found;
      reference().error_sums(x.data(), y.data(), n, &expected);
      table.error_sums(x.data(), y.data(), n, &found);
      INFO(describe(table, offset, std::to_string(n)));
      check_sums(found, expected);
    }
  });
}

TEST_CASE("error_sums: the reference adds in the order of the contract") {
  std::mt19937 random(4);
  std::normal_distribution<float> weight(0.0f, 1.0f);
  for (const std::size_t n : lengths()) {
    std::vector<float> x(n), y(n), difference(n);
    float max_error = 0;
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = weight(random);
      y[i] = weight(random);
      difference[i] = x[i] - y[i];
      max_error = std::fmax(max_error, std::fabs(difference[i]));
    }
    ErrorSums found;
    reference().error_sums(x.data(), y.data(), n, &found);
    check_sums(found, {ordered_squares(difference), ordered_squares(x), ordered_squares(y), max_error});
  }
}
