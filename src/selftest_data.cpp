#include "src/selftest_data.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace mq::detail {
namespace {

// SplitMix64 (Steele, Lea and Flood, 2014).
class Bits {
 public:
  explicit Bits(std::uint64_t seed) : state_(seed * 0x2545f4914f6cdd1d + 1) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::int32_t between(std::int32_t least, std::int32_t most) {
    return least + static_cast<std::int32_t>(next() % (static_cast<std::uint64_t>(most - least) + 1));
  }
  float sign() { return next() % 2 == 0 ? 1.0f : -1.0f; }
  // From -40 to 40, small ones more often.
  float weight() {
    const float a = static_cast<float>(between(-1 << 20, 1 << 20)), b = static_cast<float>(between(0, 1 << 20));
    return a * 0x1p-20f * (b * 0x1p-20f) * 40.0f;
  }

 private:
  std::uint64_t state_;
};

template <class T, class F>
std::vector<T> fill(std::size_t n, std::uint64_t seed, F&& make) {
  Bits bits(seed);
  std::vector<T> all(n);
  for (T& value : all) value = make(bits);
  return all;
}

float modest(Bits& bits) {
  switch (bits.next() % 8) {
    case 0:
      return 0.0f * bits.sign();
    case 1:
      return static_cast<float>(bits.between(-300, 300)) + 0.5f;
    default:
      return bits.weight();
  }
}

float power_of_two(std::int32_t exponent) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23);
}

float finite(Bits& bits) {
  switch (bits.next() % 12) {
    case 0:
      return bits.sign() * std::numeric_limits<float>::max();
    case 1:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits.next() & 0x807fffff));
    case 2:
      return bits.sign() * power_of_two(bits.between(-126, 127));
    default:
      return modest(bits);
  }
}

}  // namespace

std::vector<float> finite_numbers(std::size_t n, std::uint64_t seed) {
  return fill<float>(n, seed, finite);
}

std::vector<float> modest_numbers(std::size_t n, std::uint64_t seed) {
  return fill<float>(n, seed, modest);
}

std::vector<float> any_numbers(std::size_t n, std::uint64_t seed) {
  constexpr std::uint32_t kSpecial[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                        0x7f800001, 0xffbfffff, 0x7fffffff};
  return fill<float>(n, seed, [&](Bits& bits) {
    return bits.next() % 11 == 0 ? std::bit_cast<float>(kSpecial[bits.next() % std::size(kSpecial)]) : finite(bits);
  });
}

std::vector<float> error_weights(std::size_t n, std::uint64_t seed) {
  return fill<float>(n, seed, [](Bits& bits) { return std::max(0.0f, bits.weight()); });
}

std::vector<float> scale_numbers(std::size_t n, std::uint64_t seed, bool extreme) {
  constexpr float kEdges[] = {1e-45f, 1e-40f, 1.2e-38f, 3e38f, 1e30f, 1e-30f};
  return fill<float>(n, seed, [&](Bits& bits) {
    if (extreme && bits.next() % 4 == 0) return kEdges[bits.next() % std::size(kEdges)];
    if (bits.next() % 4 == 0) return power_of_two(bits.between(-12, 11));
    return static_cast<float>(bits.between(1, 1 << 20)) * 0x1p-18f;
  });
}

std::vector<float> whole_numbers(std::size_t n, std::uint64_t seed, std::int32_t least, std::int32_t most) {
  return fill<float>(n, seed, [&](Bits& bits) { return static_cast<float>(bits.between(least, most)); });
}

std::vector<std::int32_t> integers(std::size_t n, std::uint64_t seed, std::int32_t least, std::int32_t most) {
  return fill<std::int32_t>(n, seed, [&](Bits& bits) { return bits.between(least, most); });
}

std::vector<std::uint8_t> any_bytes(std::size_t n, std::uint64_t seed) {
  return fill<std::uint8_t>(n, seed, [](Bits& bits) { return static_cast<std::uint8_t>(bits.next()); });
}

std::vector<std::uint16_t> any_halves(std::size_t n, std::uint64_t seed) {
  return fill<std::uint16_t>(n, seed, [](Bits& bits) { return static_cast<std::uint16_t>(bits.next()); });
}

std::vector<std::uint16_t> finite_halves(std::size_t n, std::uint64_t seed, bool brain) {
  // Exponents around that of 1.
  const std::uint16_t low = brain ? 0x3d00 : 0x2c00, span = brain ? 0x0500 : 0x2800;
  return fill<std::uint16_t>(n, seed, [&](Bits& bits) {
    const auto magnitude = static_cast<std::uint16_t>(low + bits.next() % span);
    return static_cast<std::uint16_t>(magnitude | (bits.next() % 2 == 0 ? 0x8000 : 0));
  });
}

}  // namespace mq::detail
