// Deflated records of zip archives. A build without zlib refuses them by name; then that is what is tested.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "formats/deflated_reads.hpp"
#include "formats/record_checksums.hpp"
#include "formats/zip.hpp"
#include "tests/support/deflate_builder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using formats::ZipArchive;
using formats::ZipRecord;
using test::DeflateBuilder;
using test::deflated;
using test::ZipBuilder;

namespace {

// Whether the rest of a test can run.
bool inflates() {
  if (!formats::can_inflate()) MESSAGE("skipped: this build has no zlib");
  return formats::can_inflate();
}

ZipArchive open_bytes(const test::TempDir& dir, std::string_view bytes, const Limits& limits = {}) {
  return ZipArchive(io::File::open(test::write_file(dir / "t.zip", bytes)), limits);
}

// A record "a" that is said to become `content`.
std::string archive_of(std::string_view content, std::string stored) {
  return ZipBuilder().add("a", content, {.method = 8, .stored = std::move(stored)}).finish();
}

// Bytes that compress a little, and are different everywhere.
std::string sample_text(std::size_t size) {
  std::string text;
  std::uint64_t state = 1;
  while (text.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += std::to_string(state >> 44) + ((state >> 40 & 7) == 0 ? text.substr(text.size() / 2, 40) : " ");
  }
  text.resize(size);
  return text;
}

std::string read_at(const ZipArchive& archive, std::uint64_t first, std::size_t size) {
  std::string out(size, '\0');
  archive.read(archive.records()[0], first, std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace

TEST_CASE("deflate: without zlib a record is listed, and refused by name when it is read") {
  if (formats::can_inflate()) return;
  const test::TempDir dir;
  const ZipArchive archive = open_bytes(dir, archive_of("content", deflated("content")));
  const auto error = test::error_of([&] { read_at(archive, 0, 7); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Unsupported);
  CHECK(std::string(error->what()).find("t.zip: a: the record is compressed (deflate)") != std::string::npos);
}

TEST_CASE("deflate: records of stored and Huffman blocks, of any size and empty ones, are read whole") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string text = sample_text(200'000);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{65'535}, text.size()}) {
    CAPTURE(size);
    const std::string content = text.substr(0, size);
    const ZipArchive fixed = open_bytes(dir, archive_of(content, deflated(content)));
    CHECK(fixed.records()[0].method == ZipRecord::Method::Deflated);
    CHECK(fixed.read_text(fixed.records()[0], 1 << 20) == content);
    if (size > 65'535) continue;
    const std::string blocks = DeflateBuilder().stored("", false).fixed(content, false).stored("", true).bytes();
    const ZipArchive mixed = open_bytes(dir, archive_of(content, blocks));
    CHECK(mixed.read_text(mixed.records()[0], 1 << 20) == content);
  }
}

TEST_CASE("deflate: any range in any order is that of the content, and positions to start from stay few") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string content = sample_text(5'000'000);
  const ZipArchive archive = open_bytes(dir, archive_of(content, deflated(content)));
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const std::size_t first = random() % content.size();
    const std::size_t size = std::min<std::size_t>(random() % 100'000, content.size() - first);
    REQUIRE(read_at(archive, first, size) == content.substr(first, size));
  }
  CHECK(read_at(archive, content.size() - 1, 1) == content.substr(content.size() - 1));
  CHECK(read_at(archive, content.size(), 0).empty());
}

TEST_CASE("deflate: many threads read one record, each its own ranges") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string content = sample_text(4'000'000);
  const ZipArchive archive = open_bytes(dir, archive_of(content, deflated(content)));
  constexpr std::size_t kPiece = 150'000;
  std::atomic<std::size_t> next{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (std::size_t first = next++ * kPiece; first < 2 * content.size(); first = next++ * kPiece) {
        const std::size_t at = first % content.size();
        const std::size_t size = std::min(kPiece, content.size() - at);
        if (read_at(archive, at, size) != content.substr(at, size)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("deflate: positions are kept within their bounds, for many records too") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string content(6'000'000, 'x');
  const std::string stored = deflated(content);
  const io::File file = io::File::open(test::write_file(dir / "data", stored));
  formats::DeflatedReads reads;
  std::vector<std::byte> out(content.size());
  CHECK(reads.points() == 0);
  const formats::DeflatedRange range{file, "a", 0, stored.size(), content.size()};
  reads.read(range, 0, std::span(out).first(out.size() - 1));
  CHECK(reads.points() == 5);
  CHECK(reads.idle() == 1);
  CHECK(std::ranges::all_of(std::span(out).first(out.size() - 1), [](std::byte b) { return b == std::byte{'x'}; }));
  // Ranges that are the same data at other places: what is kept of them would not fit.
  for (std::uint64_t i = 1; i <= 60; ++i) {
    const io::File copy = io::File::open(test::write_file(dir / "copy", std::string(i, ' ') + stored));
    reads.read({copy, "b", i, stored.size(), content.size()}, 1000, std::span(out).subspan(1000, 5'500'000));
    CHECK(reads.points() <= formats::DeflatedReads::kMaxPoints);
    CHECK(reads.idle() <= formats::DeflatedReads::kMaxIdle);
  }
  CHECK(reads.points() > 200);
}

TEST_CASE("deflate: data that is damaged, cut off, too short, too long or followed by more is refused with its place") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string content = sample_text(3000);
  const std::string good = deflated(content);
  struct Case {
    std::string stored;
    std::size_t content_bytes;
    const char* says;
  };
  for (const Case& c : {Case{good.substr(0, good.size() / 2), 3000, "cut off"}, Case{"", 3000, "cut off"},
                        Case{good, 2999, "longer than the record"}, Case{good, 3001, "shorter than the record"},
                        Case{good, 1, "longer than the record"}, Case{good + "x", 3000, "bytes after the end"},
                        Case{std::string("\x07garbage"), 3000, "damaged"},
                        Case{DeflateBuilder().stored("abc", false).bytes(), 3, "cut off"}}) {
    CAPTURE(c.says);
    const std::string said = c.content_bytes > 3000 ? content + "y" : content.substr(0, c.content_bytes);
    const ZipArchive archive = open_bytes(dir, archive_of(said, c.stored));
    for (const bool whole : {true, false}) {
      const auto error = test::error_of([&] {
        if (whole) archive.read_text(archive.records()[0], 1 << 20);
        for (std::size_t at = 0; at < said.size(); at += 500) {
          read_at(archive, at, std::min<std::size_t>(500, said.size() - at));
        }
      });
      REQUIRE(error);
      CAPTURE(error->what());
      CHECK(error->code() == ErrorCode::Corrupt);
      CHECK(std::string(error->what()).find("t.zip: a") != std::string::npos);
      CHECK(std::string(error->what()).find(c.says) != std::string::npos);
      CHECK(error->details().offset.value_or(0) >= 31);
    }
  }
}

TEST_CASE("deflate: a wrong byte is found by the checksum, in pieces too") {
  if (!inflates()) return;
  const test::TempDir dir;
  const std::string content = sample_text(100'000);
  const std::string bytes =
      ZipBuilder().add("a", content, {.method = 8, .stored = deflated(content), .crc = 5}).finish();
  const ZipArchive archive = open_bytes(dir, bytes);
  CHECK(test::code_of([&] { archive.read_text(archive.records()[0], 1 << 20); }) == ErrorCode::Corrupt);
  formats::RecordChecksums checksums(archive);
  CHECK(test::code_of([&] { checksums.verify(archive.records()[0]); }) == ErrorCode::Corrupt);
}

TEST_CASE("deflate: a record that would become too much for its size is refused when the archive is opened") {
  const test::TempDir dir;
  const std::string zeros(3'000'000, '\0');
  const std::string bytes = archive_of(zeros, deflated(zeros));
  Limits limits{.deflate_ratio = 50};
  const auto error = test::error_of([&] { open_bytes(dir, bytes, limits); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Limit);
  CHECK(error->details().hint.find("--max-deflate-ratio") != std::string::npos);
  CHECK(error->details().found.find("3000000 bytes from") != std::string::npos);
  limits.deflate_ratio = 1000;
  open_bytes(dir, bytes, limits);
  // Small records may be as small as they like.
  limits.deflate_ratio = 1;
  const std::string few(1'000'000, '\0');
  open_bytes(dir, archive_of(few, deflated(few)), limits);
}

TEST_CASE("deflate: a checkpoint whose records are deflated is the checkpoint") {
  if (!inflates()) return;
  const test::TempDir dir;
  test::PickleBuilder pickle;
  pickle.proto().empty_dict().text("w").tensor({.numel = 600}, 0, {20, 30}, {30, 1}).setitem();
  pickle.text("t").tensor({.numel = 600}, 0, {30, 20}, {1, 30}).setitem();
  const std::string program = pickle.bytes() + ".", data = test::float_bytes(600);
  const auto packed = [](std::string_view content) {
    return test::ZipTweaks{.method = 8, .stored = deflated(content)};
  };
  const std::string bytes = ZipBuilder()
                                .add("m/data.pkl", program, packed(program))
                                .add("m/data/0", data, packed(data))
                                .add("m/version", "3\n", packed("3\n"))
                                .finish();
  const auto checkpoint = open_checkpoint(test::write_file(dir / "m.pt", bytes));
  REQUIRE(checkpoint->tensors().size() == 2);
  const Tensor w = checkpoint->read(0), t = checkpoint->read(1);
  for (std::size_t i = 0; i < 600; ++i) {
    REQUIRE(w.as<float>()[i] == static_cast<float>(i));
    REQUIRE(t.as<float>()[i] == static_cast<float>(i / 20 + i % 20 * 30));
  }
}
