#include <bit>
#include <cmath>
#include <limits>

#include "tests/kernels/compare.hpp"

namespace kernel_test {

std::vector<float> finite_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> weight(0.0f, 40.0f);
  std::uniform_int_distribution<int> small(-300, 300);
  std::vector<float> x(n);
  for (float& v : x) {
    switch (random() % 16) {
      case 0:
        v = 0.0f;
        break;
      case 1:
        v = -0.0f;
        break;
      case 2:
      case 3:
        v = static_cast<float>(small(random)) + 0.5f;
        break;
      case 4:
        v = std::nextafter(static_cast<float>(small(random)) + 0.5f, random() % 2 == 0 ? 1e9f : -1e9f);
        break;
      case 5:
        v = (random() % 2 == 0 ? 1.0f : -1.0f) * std::ldexp(1.0f, static_cast<int>(random() % 254) - 127);
        break;
      case 6:
        v = (random() % 2 == 0 ? 1.0f : -1.0f) * std::numeric_limits<float>::max();
        break;
      case 7:
        v = std::bit_cast<float>(static_cast<std::uint32_t>(random() & 0x807fffffu));
        break;
      default:
        v = weight(random);
    }
  }
  return x;
}

std::vector<float> any_values(std::size_t n, unsigned seed, std::size_t period) {
  std::vector<float> x = finite_values(n, seed);
  std::mt19937 random(seed + 1);
  for (std::size_t i = 0; i < n; ++i) {
    if (random() % period != 0) continue;
    const std::uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                     0x7f800001, 0xffbfffff, 0x7fffffff};
    x[i] = std::bit_cast<float>(special[random() % std::size(special)]);
  }
  return x;
}

std::vector<float> random_bits(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  return x;
}

std::vector<std::uint8_t> random_bytes(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> x(n);
  for (std::uint8_t& v : x) v = static_cast<std::uint8_t>(random());
  return x;
}

std::vector<float> scales(std::size_t n, unsigned seed, bool extreme) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> ordinary(1e-4f, 4.0f);
  std::vector<float> s(n);
  for (float& v : s) {
    const float edges[] = {1e-45f, 1e-40f, 1.2e-38f, 3e38f, 1e30f, 1e-30f};
    switch (random() % 4) {
      case 0:
        v = 1.0f;
        break;
      case 1:
        v = std::ldexp(1.0f, static_cast<int>(random() % 24) - 12);
        break;
      case 2:
        v = extreme ? edges[random() % std::size(edges)] : ordinary(random);
        break;
      default:
        v = ordinary(random);
    }
  }
  return s;
}

std::vector<float> zero_points(std::size_t n, unsigned seed, int lo, int hi) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> any(lo, hi);
  std::vector<float> z(n);
  for (float& v : z) v = random() % 3 == 0 ? 0.0f : static_cast<float>(any(random));
  return z;
}

}  // namespace kernel_test
