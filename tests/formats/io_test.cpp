#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/io/file.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::code_of;

TEST_CASE("checked: sums, products and alignments beyond 64 bits are nothing") {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  CHECK(io::checked_add(kMax - 1, 1) == kMax);
  CHECK_FALSE(io::checked_add(kMax, 1));
  CHECK(io::checked_multiply(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1));
  CHECK_FALSE(io::checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
  CHECK(io::checked_align(0, 64) == 0U);
  CHECK(io::checked_align(65, 64) == 128U);
  CHECK_FALSE(io::checked_align(kMax, 64));
  CHECK(io::range_fits(2, 3, 5));
  CHECK_FALSE(io::range_fits(2, 4, 5));
  CHECK_FALSE(io::range_fits(6, 0, 5));
  CHECK_FALSE(io::range_fits(2, kMax, 5));
}

TEST_CASE("byte reader: numbers are little-endian, and no step leaves the bytes") {
  const std::array<unsigned char, 11> raw{0x01, 0x02, 0x03, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f};
  io::ByteReader reader(std::as_bytes(std::span(raw)), "model.bin", 100);
  CHECK(reader.u8() == 1);
  CHECK(reader.u16() == 0x0302);
  CHECK(reader.i32() == -1);
  CHECK(reader.f32() == 1.0F);
  CHECK(reader.at_end());
  const auto error = test::error_of([&] { reader.u16(); });
  REQUIRE(error);
  CHECK(std::string(error->what()) == "model.bin @111: truncated: expected 2 bytes, found 0");
  io::ByteReader again(std::as_bytes(std::span(raw)), "model.bin");
  again.skip(2);
  CHECK(again.offset() == 2);
  CHECK(code_of([&] { again.bytes(std::numeric_limits<std::uint64_t>::max()); }) == ErrorCode::Corrupt);
  CHECK(again.text(1) == "\x03");
  CHECK(again.remaining() == 8);
}

TEST_CASE("file: reads and writes at any place, and knows the end") {
  const test::TempDir dir;
  {
    io::File file = io::File::create(dir / "f");
    file.resize(10);
    CHECK(file.size() == 10);
    file.write(5, std::as_bytes(std::span("world", 5)));
    file.write(0, std::as_bytes(std::span("hello", 5)));
    file.sync();
    file.close();
  }
  CHECK(test::read_file(dir / "f") == "helloworld");
  const io::File file = io::File::open(dir / "f");
  std::string out(4, ' ');
  file.read(4, std::as_writable_bytes(std::span(out)));
  CHECK(out == "owor");
  CHECK(code_of([&] { file.read(8, std::as_writable_bytes(std::span(out))); }) == ErrorCode::Corrupt);
  CHECK(code_of([&] { io::File::create(dir / "f"); }) == ErrorCode::Io);
  CHECK(code_of([&] { io::File::open(dir / "absent"); }) == ErrorCode::Io);
  CHECK(code_of([&] { io::File::open(dir.path()); }) == ErrorCode::Unsupported);
  CHECK(io::read_text(dir / "f", 10) == "helloworld");
  CHECK(code_of([&] { io::read_text(dir / "f", 9); }) == ErrorCode::Limit);
}

TEST_CASE("file: one file under two names is one file") {
  const test::TempDir dir;
  test::write_file(dir / "a", "x");
  test::write_file(dir / "b", "x");
  std::filesystem::create_hard_link(dir / "a", dir / "hard");
  std::filesystem::create_symlink("a", dir / "soft");
  CHECK(io::File::open(dir / "a").identity() == io::File::open(dir / "hard").identity());
  CHECK(io::identity_of(dir / "soft") == io::identity_of(dir / "a"));
  CHECK(io::identity_of(dir / "b") != io::identity_of(dir / "a"));
  CHECK(code_of([&] { io::identity_of(dir / "absent"); }) == ErrorCode::Io);
}
