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

// remainder * x^(8 * bytes).
std::uint32_t shifted(std::uint32_t remainder, std::uint64_t bytes) noexcept {
  for (std::size_t i = 0; bytes != 0; ++i, bytes >>= 1) {
    if (bytes & 1) remainder = multiply(kPowers[i], remainder);
  }
  return remainder;
}

}  // namespace

std::uint32_t crc32_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t bytes_b) noexcept {
  return shifted(crc_a, bytes_b) ^ crc_b;
}

std::uint32_t crc32_of_zeros(std::uint64_t bytes) noexcept {
  return ~shifted(~std::uint32_t{0}, bytes);
}

// Without what the beginning and the end of a message add to it, the remainder is linear.
std::uint32_t crc32_share(std::uint32_t crc, std::uint64_t bytes, std::uint64_t bytes_after) noexcept {
  return shifted(crc ^ crc32_of_zeros(bytes), bytes_after);
}

}  // namespace mq::formats
