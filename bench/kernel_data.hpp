// Memory that the kernels are measured on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace mq::bench {

// n elements that begin on a cache line, each buffer at another distance from a page: loads and stores whose addresses
// agree in the last 12 bits wait for each other.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t n, T value = {}) : storage_(n + kPage / sizeof(T) + kPage / sizeof(T), value) {
    static std::size_t count = 0;
    const std::size_t wanted = ++count * 5 * 64 % kPage;
    const std::size_t now = reinterpret_cast<std::uintptr_t>(storage_.data()) % kPage;
    first_ = (kPage - now + wanted) / sizeof(T);
    size_ = n;
  }
  T* data() { return storage_.data() + first_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }

 private:
  static constexpr std::size_t kPage = 4096;
  std::vector<T> storage_;
  std::size_t first_;
  std::size_t size_;
};

// Inputs and outputs of every kind for one size; a, b and ranges have one element per run, runs may be of one element.
struct KernelData {
  Aligned<float> x, y, a, b;
  Aligned<std::uint16_t> halves;
  Aligned<std::uint8_t> bytes, packed;
  Aligned<kernels::Range> ranges;

  explicit KernelData(std::size_t n)
      : x(n), y(n), a(n, 0.01f), b(n, 3.0f), halves(n), bytes(n), packed(n / 2), ranges(n / 32) {
    std::mt19937 random(1);
    std::normal_distribution<float> weight(0.0f, 0.4f);
    for (float& v : x) v = weight(random);
    std::copy(x.begin(), x.end(), y.begin());
    // 0x3400 to 0x3fff: ordinary numbers as f16 and as bf16.
    for (auto& h : halves) h = static_cast<std::uint16_t>(0x3400 + random() % 0xc00);
    for (auto& q : bytes) q = static_cast<std::uint8_t>(random());
    for (auto& q : packed) q = static_cast<std::uint8_t>(random());
  }
};

}  // namespace mq::bench
