#include "tests/kernels/compare.hpp"

using namespace kernel_test;

namespace {

// One bit at a time, from the definition.
std::uint32_t bitwise_crc32(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t state = ~0u;
  for (const std::uint8_t b : bytes) {
    state ^= b;
    for (int bit = 0; bit < 8; ++bit) state = (state & 1) != 0 ? state >> 1 ^ 0xedb88320u : state >> 1;
  }
  return ~state;
}

}  // namespace

TEST_CASE("crc32: every table gives the check value of the catalogue") {
  const std::string digits = "123456789";
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    CAPTURE(table->name);
    CHECK(table->crc32(0, reinterpret_cast<const std::uint8_t*>(digits.data()), digits.size()) == 0xcbf43926u);
    CHECK(table->crc32(0, nullptr, 0) == 0);
  }
}

TEST_CASE("crc32: the reference agrees with one bit at a time") {
  for (const std::size_t n : lengths()) {
    const std::vector<std::uint8_t> bytes = random_bytes(n, 3);
    CHECK(reference().crc32(0, bytes.data(), n) == bitwise_crc32(bytes));
  }
}

TEST_CASE("crc32: every table agrees with the reference at every length up to some folds and from any start") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    INFO(describe(table, offset, "crc32"));
    for (std::size_t n = 0; n < 1200; n += n < 350 ? 1 : 11) {
      const Input<std::uint8_t> bytes(random_bytes(n, static_cast<unsigned>(n)), offset);
      for (const std::uint32_t crc : {0u, 1u, 0xcbf43926u, ~0u}) {
        CHECK(table.crc32(crc, bytes.data(), n) == reference().crc32(crc, bytes.data(), n));
      }
    }
    const Input<std::uint8_t> large(random_bytes(100003, 4), offset);
    CHECK(table.crc32(0, large.data(), 100003) == reference().crc32(0, large.data(), 100003));
  });
}

TEST_CASE("crc32: pieces continue each other") {
  const std::vector<std::uint8_t> bytes = random_bytes(1000, 5);
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    const std::uint32_t whole = table->crc32(0, bytes.data(), bytes.size());
    for (std::size_t cut = 0; cut <= bytes.size(); cut += 37) {
      const std::uint32_t first = table->crc32(0, bytes.data(), cut);
      CHECK(table->crc32(first, bytes.data() + cut, bytes.size() - cut) == whole);
    }
  }
}

TEST_CASE("xxh3_128: every table gives the digests of the specification's implementation") {
  const std::vector<std::pair<std::string, std::string>> known = {
      {"", "99aa06d3014798d86001c324468d497f"},
      {"a", "a96faf705af16834e6c632b61e964e1f"},
      {"abc", "06b05ab6733a618578af5f94892f3950"},
  };
  for (const KernelTable* table : mq::kernels::available_kernels()) {
    CAPTURE(table->name);
    for (const auto& [text, digest] : known) {
      std::uint8_t found[16];
      table->xxh3_128(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), found);
      std::string hex;
      for (const std::uint8_t byte : found) {
        hex += "0123456789abcdef"[byte >> 4];
        hex += "0123456789abcdef"[byte & 15];
      }
      CHECK(hex == digest);
    }
  }
}

TEST_CASE("xxh3_128: every table agrees with the reference at every length and from any start") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const std::size_t n : {0, 1, 3, 8, 16, 17, 128, 129, 240, 241, 512, 1023, 1024, 1025, 4096, 70000}) {
      INFO(describe(table, offset, std::to_string(n)));
      const Input<std::uint8_t> bytes(random_bytes(n, static_cast<unsigned>(n)), offset);
      std::uint8_t expected[16], found[16];
      reference().xxh3_128(bytes.data(), n, expected);
      table.xxh3_128(bytes.data(), n, found);
      CHECK(std::memcmp(expected, found, sizeof found) == 0);
    }
  });
}
