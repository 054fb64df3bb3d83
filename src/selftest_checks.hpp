// One kernel call after the other, of a table and of the reference, compared byte by byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "kernels/matmul_table.hpp"
#include "mq/selftest.hpp"

namespace mq::detail {

template <class Table>
class Checks {
 public:
  // checks: the counter of the calls.
  Checks(const Table& table, const Table& reference, std::int64_t& checks, SelftestIsa& isa)
      : table_(table), reference_(reference), checks_(checks), isa_(isa) {}

  const Table& table() const { return table_; }

  // call(table, out) writes n elements, which begin `offset` elements past where memory is aligned, and nothing beside.
  template <class T, class Call>
  void same(std::string_view operation, const std::string& where, std::size_t offset, std::size_t n, Call&& call) {
    std::vector<T> expected = untouched<T>(offset + n + kAround), found = expected;
    call(reference_, expected.data() + offset);
    call(table_, found.data() + offset);
    ++checks_;
    const auto* a = reinterpret_cast<const unsigned char*>(expected.data());
    const auto* b = reinterpret_cast<const unsigned char*>(found.data());
    const std::size_t bytes = expected.size() * sizeof(T);
    if (std::memcmp(a, b, bytes) == 0) return;
    const auto at = static_cast<std::size_t>(std::mismatch(a, a + bytes, b).first - a) / sizeof(T);
    ++isa_.differences;
    const std::string first = std::string(operation) + " of ";
    if (std::ranges::any_of(isa_.failures, [&](const std::string& f) { return f.starts_with(first); })) return;
    std::string place = where + ", offset " + std::to_string(offset) + ": ";
    place += at < offset || at >= offset + n ? "outside of its output"
                                             : "element " + std::to_string(at - offset) + " of " + std::to_string(n);
    isa_.failures.push_back(first + place);
  }

 private:
  static constexpr std::size_t kAround = 80;

  template <class T>
  static std::vector<T> untouched(std::size_t n) {
    std::vector<T> all(n);
    std::memset(static_cast<void*>(all.data()), 0xa5, n * sizeof(T));
    return all;
  }

  const Table& table_;
  const Table& reference_;
  std::int64_t& checks_;
  SelftestIsa& isa_;
};

using KernelChecks = Checks<kernels::KernelTable>;
using ProductChecks = Checks<kernels::MatmulTable>;

void check_codecs(KernelChecks& checks);     // ranges, codes of integers and levels, their errors
void check_floats(KernelChecks& checks);     // smaller floats
void check_bytes(KernelChecks& checks);      // packing and checksums
void check_searches(KernelChecks& checks);   // for scales
void check_products(ProductChecks& checks);  // of mq/matmul.hpp

// Rows and the length of each.
struct RunShape {
  std::size_t rows, run;
  std::size_t n() const { return rows * run; }
  std::string text() const { return std::to_string(rows) + " x " + std::to_string(run); }
};

// Calls f(shape, offset): lengths around every vector width, whatever their type.
template <class F>
void for_each_shape(F&& f) {
  constexpr RunShape kShapes[] = {{1, 1},  {3, 7},  {5, 15}, {2, 16},  {3, 17},  {17, 31}, {4, 32},   {5, 33}, {37, 1},
                                  {2, 63}, {1, 64}, {3, 65}, {2, 127}, {1, 129}, {3, 256}, {2, 1001}, {66, 2}};
  for (const RunShape& shape : kShapes) {
    for (std::size_t offset = 0; offset < 4; ++offset) f(shape, offset);
  }
}

}  // namespace mq::detail
