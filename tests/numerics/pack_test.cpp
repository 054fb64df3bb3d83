#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "mq/pack.hpp"
#include "tests/numerics/encode.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;

namespace {

// Packs signed codes of one row, biased as the format stores them.
std::vector<std::uint32_t> packed_words(const std::vector<int>& codes, int bits) {
  std::vector<std::uint8_t> biased;
  for (const int code : codes) biased.push_back(static_cast<std::uint8_t>(code + (1 << (bits - 1))));
  std::vector<std::uint32_t> words(static_cast<std::size_t>(packed_row_bytes(std::ssize(codes), bits) / 4));
  std::vector<std::uint8_t> bytes(words.size() * 4);
  pack_bits(biased, std::ssize(codes), bits, bytes);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

// Bit by bit, as the layout is defined.
std::vector<std::uint8_t> pack_slowly(const std::vector<std::uint8_t>& codes, std::int64_t row_numel, int bits) {
  const std::int64_t row_bytes = packed_row_bytes(row_numel, bits);
  const std::int64_t rows = std::ssize(codes) / row_numel;
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(rows * row_bytes), 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t bit = 0; bit < row_numel * bits; ++bit) {
      const int value = codes[static_cast<std::size_t>(r * row_numel + bit / bits)] >> (bit % bits) & 1;
      packed[static_cast<std::size_t>(r * row_bytes + bit / 8)] |= static_cast<std::uint8_t>(value << (bit % 8));
    }
  }
  return packed;
}

}  // namespace

TEST_CASE("pack: the words that compressed-tensors stores") {
  CHECK(packed_words({-8, -7, -1, 0, 1, 2, 6, 7}, 4) == std::vector<std::uint32_t>{0xFEA98710});
  CHECK(packed_words({-128, -1, 0, 127}, 8) == std::vector<std::uint32_t>{0xFF807F00});
  std::vector<int> codes;
  for (int i = 0; i < 32; ++i) codes.push_back(i % 8 - 4);
  CHECK(packed_words(codes, 3) == std::vector<std::uint32_t>{0x88FAC688, 0xC688FAC6, 0xFAC688FA});
  CHECK(packed_words({-7}, 4) == std::vector<std::uint32_t>{0x00000001});
}

TEST_CASE("pack: every width at every length is the bit stream, and unpacks to the codes") {
  mq::test::Random random(1);
  for (int bits = 1; bits <= 8; ++bits) {
    for (std::int64_t n = 1; n <= 70; ++n) {
      const std::int64_t rows = 3;
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * n));
      for (auto& code : codes) code = static_cast<std::uint8_t>(random.below(1 << bits));
      std::vector<std::uint8_t> packed(static_cast<std::size_t>(rows * packed_row_bytes(n, bits)), 0xee);
      pack_bits(codes, n, bits, packed);
      CAPTURE(bits);
      CAPTURE(n);
      CHECK(packed == pack_slowly(codes, n, bits));
      std::vector<std::uint8_t> back(codes.size(), 0xee);
      unpack_bits(packed, n, bits, back);
      CHECK(back == codes);
    }
  }
}

TEST_CASE("pack: only the low bits of a code count") {
  for (int bits = 1; bits <= 8; ++bits) {
    std::vector<std::uint8_t> high(40, 0xff), low(40, static_cast<std::uint8_t>((1 << bits) - 1));
    const auto bytes = static_cast<std::size_t>(packed_row_bytes(40, bits));
    std::vector<std::uint8_t> a(bytes), b(bytes);
    pack_bits(high, 40, bits, a);
    pack_bits(low, 40, bits, b);
    CHECK(a == b);
  }
}

TEST_CASE("pack: sizes that do not agree are refused") {
  std::array<std::uint8_t, 16> codes{};
  std::array<std::uint8_t, 8> packed{};
  CHECK(code_of([&] { pack_bits(codes, 16, 5, packed); }) == ErrorCode::Usage);
  CHECK(code_of([&] { pack_bits(codes, 5, 4, packed); }) == ErrorCode::Usage);
  CHECK(code_of([&] { pack_bits(codes, 0, 4, packed); }) == ErrorCode::Usage);
  CHECK(code_of([&] { unpack_bits(packed, 16, 8, codes); }) == ErrorCode::Usage);
  CHECK(code_of([] { packed_row_bytes(8, 0); }) == ErrorCode::Usage);
  CHECK(code_of([] { packed_row_bytes(8, 9); }) == ErrorCode::Usage);
  CHECK(code_of([] { packed_row_bytes(-1, 4); }) == ErrorCode::Usage);
  CHECK(packed_row_bytes(0, 4) == 0);
  CHECK(packed_row_bytes(1LL << 60, 8) == 1LL << 60);
}

TEST_CASE("pack: an encoding's packed codes are its bytes minus the smallest code") {
  const Shape shape{5, 48};
  const std::vector<float> x = mq::test::gauss_weights(numel(shape), 3);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const char* rest : {":channel", ":g16:asym", ":channel=1:full", ":b2x7:signed"}) {
      for (const char* sign : {"int", "uint"}) {
        const std::string spec = sign + std::to_string(bits) + rest;
        CAPTURE(spec);
        const CodecRequest request = mq::test::request_for(spec, shape);
        CodecRequest packed = request;
        packed.form = CodeForm::Packed;
        const auto codes = mq::test::encode(request, x, mq::test::whole(request.layout)).parts[0];
        const auto found = mq::test::encode(packed, x, mq::test::whole(request.layout)).parts[0];
        std::vector<std::uint8_t> biased;
        for (const std::byte code : codes) {
          biased.push_back(static_cast<std::uint8_t>(static_cast<int>(code) - request.spec.qmin()));
        }
        std::vector<std::uint8_t> expected(found.size());
        pack_bits(biased, 48, bits, expected);
        CHECK(std::memcmp(found.data(), expected.data(), expected.size()) == 0);
      }
    }
  }
}
