#include "formats/crc_combine.hpp"

#include <array>

namespace mq::formats {
namespace {

constexpr std::uint32_t kPolynomial = 0xedb88320;  // bit 31 is x^0, bit 0 is x^31
constexpr std::uint32_t kOne = 0x80000000;

// a * b modulo the polynomial.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ (b & 1 ? kPolynomial : 0);
  }
  return product;
}

// x^(8 * 2^i) for every bit i of a length in bytes.
constexpr std::array<std::uint32_t, 64> make_powers() noexcept {
  std::array<std::uint32_t, 64> powers{};
  std::uint32_t power = kOne >> 8;
  for (std::uint32_t& entry : powers) {
    entry = power;
    power = multiply(power, power);
  }
  return powers;
}

constexpr std::array<std::uint32_t, 64> kPowers = make_powers();

}  // namespace

std::uint32_t crc32_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t bytes_b) noexcept {
  std::uint32_t shift = kOne;
  for (std::size_t i = 0; bytes_b != 0; ++i, bytes_b >>= 1) {
    if (bytes_b & 1) shift = multiply(kPowers[i], shift);
  }
  return multiply(shift, crc_a) ^ crc_b;
}

}  // namespace mq::formats
