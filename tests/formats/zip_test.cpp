#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "formats/crc.hpp"
#include "formats/crc_combine.hpp"
#include "formats/record_checksums.hpp"
#include "formats/zip.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/zip_builder.hpp"

using namespace mq;
using formats::ZipArchive;
using formats::ZipRecord;
using test::ZipBuilder;
using Descriptor = test::ZipTweaks::Descriptor;

namespace {

ZipArchive open_bytes(const test::TempDir& dir, std::string_view bytes) {
  return ZipArchive(io::File::open(test::write_file(dir / "t.zip", bytes)));
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("zip: records are read by name, with padding, descriptors and zip64 fields of every form") {
  const test::TempDir dir;
  for (const bool zip64 : {false, true}) {
    ZipBuilder builder;
    builder.add("d/plain", "first").add("d/padded", "second", {.padding = "ZZZ"});
    builder.add("d/signed", "third", {.descriptor = Descriptor::Signed32});
    builder.add("d/unsigned", "fourth", {.descriptor = Descriptor::Plain32, .zip64 = true});
    builder.add("d/wide", "fifth", {.descriptor = Descriptor::Signed64}).add("d/empty", "");
    const ZipArchive archive = open_bytes(dir, builder.finish({.zip64 = zip64, .comment = "a comment"}));
    REQUIRE(archive.records().size() == 6);
    CHECK(archive.records()[0].name == "d/plain");
    const auto text = [&](std::string_view name) { return archive.read_text(*archive.find(name), 100); };
    CHECK(text("d/plain") == "first");
    CHECK(text("d/padded") == "second");
    CHECK(text("d/signed") == "third");
    CHECK(text("d/unsigned") == "fourth");
    CHECK(text("d/wide") == "fifth");
    CHECK(text("d/empty").empty());
    CHECK(archive.find("plain") == nullptr);
  }
}

TEST_CASE("zip: names that occur twice and records that overlap are refused") {
  const test::TempDir dir;
  const auto twice = ZipBuilder().add("a", "1").add("a", "2").finish();
  CHECK(test::message_of([&] { open_bytes(dir, twice); }).find("two zip records are called a") != std::string::npos);
  const auto shared = ZipBuilder().add("a", "1").add("b", "2", {.central_offset = 0}).finish();
  CHECK(test::message_of([&] { open_bytes(dir, shared); }).find("overlaps") != std::string::npos);
  // A second record inside the data of the first one.
  const std::string inner = ZipBuilder().add("b", "data").finish().substr(0, 30 + 1 + 4);
  const auto nested = ZipBuilder().add("a", inner).add("b", "data", {.central_offset = 31}).finish();
  CHECK(test::message_of([&] { open_bytes(dir, nested); }).find("overlaps") != std::string::npos);
}

TEST_CASE("zip: a record whose checksum is wrong is refused when it is read whole; 0 means that there is none") {
  const test::TempDir dir;
  const ZipArchive wrong = open_bytes(dir, ZipBuilder().add("a", "content", {.crc = 1}).finish());
  const auto error = test::error_of([&] { wrong.read_text(wrong.records()[0], 100); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Corrupt);
  CHECK(error->details().expected == "1");
  CHECK(error->details().found == std::to_string(test::crc_of("content")));
  const ZipArchive none = open_bytes(dir, ZipBuilder().add("a", "content", {.crc = 0}).finish());
  CHECK(none.read_text(none.records()[0], 100) == "content");
  CHECK(test::code_of([&] { none.read_text(none.records()[0], 6); }) == ErrorCode::Limit);
}

TEST_CASE("crc: joining the checksums of two parts gives that of the whole") {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>(i * 7 + i / 13);
  const std::uint32_t whole = test::crc_of(text);
  CHECK(test::crc_of("123456789") == 0xcbf43926);
  for (const std::size_t cut : {0, 1, 7, 64, 255, 1024, 2999, 3000}) {
    const std::string_view a = std::string_view(text).substr(0, cut), b = std::string_view(text).substr(cut);
    CHECK(formats::crc32_combine(test::crc_of(a), test::crc_of(b), b.size()) == whole);
    CHECK(formats::crc32(test::crc_of(a), bytes_of(b)) == whole);
  }
}

TEST_CASE("checksums: pieces read in any order by many threads verify a record, once and only if all of it was read") {
  const test::TempDir dir;
  std::string content;
  for (int i = 0; i < 10'000; ++i) content += static_cast<char>(i * 31 + i / 97);
  for (const bool right : {true, false}) {
    const std::uint32_t crc = test::crc_of(content) ^ (right ? 0 : 1);
    const ZipArchive archive = open_bytes(dir, ZipBuilder().add("a", content, {.crc = crc}).finish());
    const ZipRecord& record = archive.records()[0];
    formats::RecordChecksums checksums(archive);
    std::atomic<int> failures{0};
    const auto add = [&](std::size_t piece) {
      const std::string_view bytes = std::string_view(content).substr(piece * 100, 100);
      if (test::error_of([&] { checksums.add(record, piece * 100, 100, test::crc_of(bytes)); })) ++failures;
    };
    for (std::size_t i = 0; i < 99; ++i) add(i * 37 % 99);
    add(5);  // a second time
    CHECK(checksums.wanted(record));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { add(99); });
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == (right ? 0 : 1));
    CHECK(checksums.wanted(record) == !right);
    CHECK((test::code_of([&] { checksums.verify(record); }) == ErrorCode::Corrupt) == !right);
  }
}
