// Random weights that are the same on every machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "mq/tensor.hpp"

namespace mq::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea and Flood, 2014).
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n)); }

  // In (0, 1).
  double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52; }

  // Marsaglia's polar method.
  double gauss() {
    for (;;) {
      const double u = 2 * uniform() - 1, v = 2 * uniform() - 1;
      const double r = u * u + v * v;
      if (r < 1 && r > 0) return u * std::sqrt(-2 * std::log(r) / r);
    }
  }

  // Student's t with 5 degrees of freedom: a normal over the root of a mean of five squared ones, four of which are two
  // exponentials.
  double student5() {
    const double z = gauss(), g = gauss();
    return z / std::sqrt((g * g - 2 * std::log(uniform() * uniform())) / 5);
  }

 private:
  std::uint64_t state_;
};

inline std::vector<float> gauss_weights(std::int64_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = static_cast<float>(random.gauss());
  return x;
}

// A view of float32 data, borrowed like the shape.
inline TensorView view_of(const std::vector<float>& x, std::span<const std::int64_t> shape) {
  return {DType::Float32, shape, std::as_bytes(std::span(x))};
}
inline TensorView view_of(const std::vector<float>& x, const Shape& shape) {
  return view_of(x, std::span(shape));
}

}  // namespace mq::test
