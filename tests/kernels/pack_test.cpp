#include "tests/kernels/compare.hpp"

using namespace kernel_test;

TEST_CASE("pack_4: every table agrees with the reference, whatever the upper bits of a code are") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const std::size_t n : lengths()) {
      const Input<std::uint8_t> codes(random_bytes(n, 1), offset);
      Output<std::uint8_t> expected((n + 1) / 2, offset), found((n + 1) / 2, offset);
      reference().pack_4(codes.data(), n, expected.data());
      table.pack_4(codes.data(), n, found.data());
      check_same(found, expected, describe(table, offset, std::to_string(n)));
    }
  });
}

TEST_CASE("unpack_4: every table agrees with the reference") {
  for_each_table_and_offset([](const KernelTable& table, std::size_t offset) {
    for (const std::size_t n : lengths()) {
      const Input<std::uint8_t> packed(random_bytes((n + 1) / 2, 2), offset);
      Output<std::uint8_t> expected(n, offset), found(n, offset);
      reference().unpack_4(packed.data(), n, expected.data());
      table.unpack_4(packed.data(), n, found.data());
      check_same(found, expected, describe(table, offset, std::to_string(n)));
    }
  });
}

TEST_CASE("pack_4: the reference puts the first code in the low nibble and clears an odd last one") {
  const std::vector<std::uint8_t> codes = {0xf1, 0x02, 0x33};
  std::vector<std::uint8_t> packed(2, 0xff);
  reference().pack_4(codes.data(), 3, packed.data());
  CHECK(packed == std::vector<std::uint8_t>{0x21, 0x03});
  std::vector<std::uint8_t> unpacked(3);
  reference().unpack_4(packed.data(), 3, unpacked.data());
  CHECK(unpacked == std::vector<std::uint8_t>{1, 2, 3});
}
