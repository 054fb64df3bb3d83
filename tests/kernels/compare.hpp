// What the kernel tests share: awkward lengths and shapes, awkward numbers, buffers that notice a stray read or write,
// and comparison to the bit with the reference table.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "kernels/dispatch.hpp"

namespace kernel_test {

using mq::kernels::KernelTable;

inline const KernelTable& reference() {
  return *mq::kernels::available_kernels().back();
}

// Calls f(table, offset) for every table but the reference and for inputs and outputs that start 0..3 elements past
// an aligned address.
template <class F>
void for_each_table_and_offset(F f) {
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    if (table == &reference()) continue;
    for (std::size_t offset = 0; offset < 4; ++offset) f(*table, offset);
  }
}

// Around every vector width, in elements and in bytes, and some longer ones.
inline std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all = {0, 1};
  for (const std::size_t width : {4, 8, 16, 32, 64}) {
    for (const std::size_t n : {width - 1, width, width + 1, 2 * width + 1}) all.push_back(n);
  }
  for (const std::size_t n : {100, 191, 255, 256, 257, 384, 1000, 1023, 1024, 1025, 2063}) all.push_back(n);
  return all;
}

// NaNs are alike, whatever their payload.
inline bool same(double a, double b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

inline void check_sums(const mq::kernels::ErrorSums& found, const mq::kernels::ErrorSums& expected) {
  CHECK(same(found.error_sq, expected.error_sq));
  CHECK(same(found.x_sq, expected.x_sq));
  CHECK(same(found.y_sq, expected.y_sq));
  CHECK(same(found.max_error, expected.max_error));
}

struct Shape {
  std::size_t rows;
  std::size_t run;
};

inline std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const std::size_t run :
       {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 27, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 256, 1000, 1001}) {
    for (const std::size_t rows : {0, 1, 2, 3, 5, 16, 17, 35}) all.push_back({rows, run});
  }
  for (const std::size_t rows : {64, 65, 255, 1000}) all.push_back({rows, 1});
  return all;
}

// n elements that begin `offset` elements past a 64-byte boundary and end where the allocation ends, so that the
// address sanitizer sees a read past them.
template <class T>
class Input {
 public:
  Input(const std::vector<T>& values, std::size_t offset)
      : storage_(new (std::align_val_t{64}) std::byte[(offset + values.size()) * sizeof(T)]),
        begin_(reinterpret_cast<T*>(storage_.get()) + offset) {
    if (!values.empty()) std::memcpy(begin_, values.data(), values.size() * sizeof(T));
  }
  const T* data() const { return begin_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> storage_;
  T* begin_;
};

// n elements to write, between bytes that must stay as they are.
template <class T>
class Output {
 public:
  Output(std::size_t n, std::size_t offset) : n_(n), offset_(offset), storage_(offset + n + kAfter) {
    std::memset(static_cast<void*>(storage_.data()), kGuard, storage_.size() * sizeof(T));
  }
  T* data() { return storage_.data() + offset_; }
  const T& operator[](std::size_t i) const { return storage_[offset_ + i]; }
  std::size_t size() const { return n_; }

  bool guards_intact() const {
    return all_guard(storage_.data(), offset_) && all_guard(storage_.data() + offset_ + n_, kAfter);
  }

 private:
  static constexpr std::size_t kAfter = 128;
  static constexpr unsigned char kGuard = 0xa5;

  static bool all_guard(const T* p, std::size_t n) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(p);
    for (std::size_t i = 0; i < n * sizeof(T); ++i) {
      if (bytes[i] != kGuard) return false;
    }
    return true;
  }

  std::size_t n_;
  std::size_t offset_;
  std::vector<T> storage_;
};

// Fails with the place and both values if the bits differ or something was written outside.
template <class T>
void check_same(const Output<T>& found, const Output<T>& expected, const std::string& where) {
  INFO(where);
  CHECK(expected.guards_intact());
  CHECK(found.guards_intact());
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::memcmp(&found[i], &expected[i], sizeof(T)) == 0) continue;
    INFO("element ", i, " of ", found.size(), ": expected ", +expected[i], ", found ", +found[i]);
    FAIL("bits differ from the reference");
  }
}

inline void check_same_ranges(const Output<mq::kernels::Range>& found, const Output<mq::kernels::Range>& expected,
                              const std::string& where) {
  INFO(where);
  CHECK(found.guards_intact());
  REQUIRE(found.size() == expected.size());
  for (std::size_t r = 0; r < found.size(); ++r) {
    if (std::memcmp(&found[r], &expected[r], sizeof(mq::kernels::Range)) == 0) continue;
    INFO("run ", r, ": expected ", expected[r].lo, " ", expected[r].hi, " ", expected[r].nonfinite, ", found ",
         found[r].lo, " ", found[r].hi, " ", found[r].nonfinite);
    FAIL("bits differ from the reference");
  }
}

inline std::string describe(const KernelTable& table, std::size_t offset, const std::string& rest) {
  return std::string(table.name) + ", offset " + std::to_string(offset) + ", " + rest;
}
inline std::string describe(const KernelTable& table, std::size_t offset, Shape s) {
  return describe(table, offset, std::to_string(s.rows) + " x " + std::to_string(s.run));
}

// Finite values: mostly of the size of weights, with ties at .5 for a scale of 1, zeros of both signs, subnormals and
// values that saturate everything.
std::vector<float> finite_values(std::size_t n, unsigned seed);

// The same with infinities and NaNs, one value in `period`.
std::vector<float> any_values(std::size_t n, unsigned seed, std::size_t period);

// Any bit pattern at all.
std::vector<float> random_bits(std::size_t n, unsigned seed);

std::vector<std::uint8_t> random_bytes(std::size_t n, unsigned seed);

// One scale per run: ordinary, powers of two, and in `extreme` runs subnormal or huge ones.
std::vector<float> scales(std::size_t n, unsigned seed, bool extreme);

std::vector<float> zero_points(std::size_t n, unsigned seed, int lo, int hi);

}  // namespace kernel_test
