// llama.cpp's first importance matrices: what is read, and what is refused.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/imatrix_builder.hpp"

using namespace mq;
using test::ImatrixBuilder;
using test::message_of;

namespace {

ImatrixBuilder good() {
  ImatrixBuilder file;
  file.number(2).entry("blk.0.attn_q.weight", 4, {4, 8, 12}).entry("blk.0.ffn_up.weight", 0, {0.5f, 2});
  return file;
}

std::string refusal(const test::TempDir& dir, std::string_view bytes, const OpenOptions& options = {}) {
  const auto path = test::write_file(dir / "x.dat", bytes);
  return message_of([&] { open_checkpoint(path, options); });
}

}  // namespace

TEST_CASE("an importance matrix: sums and counts of each weight, with and without the ending") {
  const test::TempDir dir;
  for (const std::string& bytes :
       {good().bytes(), good().number(100).bytes(), good().number(100).text("wiki.train.raw").bytes()}) {
    const auto checkpoint = open_checkpoint(test::write_file(dir / "x.dat", bytes));
    CHECK(checkpoint->format() == "imatrix");
    REQUIRE(checkpoint->tensors().size() == 4);
    const auto at = [&](const char* name) { return checkpoint->read(*checkpoint->find(name)); };
    CHECK(at("blk.0.attn_q.weight.in_sum2").as<float>()[2] == 12.0f);
    CHECK(at("blk.0.attn_q.weight.counts").as<std::int32_t>()[0] == 4);
    CHECK(at("blk.0.ffn_up.weight.in_sum2").shape() == Shape{2});
    CHECK(at("blk.0.ffn_up.weight.counts").as<std::int32_t>()[0] == 0);
  }
}

TEST_CASE("an importance matrix that is cut anywhere is refused") {
  const test::TempDir dir;
  const std::string whole = good().number(100).text("wiki.train.raw").bytes();
  const std::size_t entries = good().bytes().size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const bool complete = size == entries || size == entries + 4;
    const auto path = test::write_file(dir / "x.dat", std::string_view(whole).substr(0, size));
    CHECK(!test::error_of([&] { open_checkpoint(path); }) == complete);
  }
}

TEST_CASE("an importance matrix that contradicts itself is refused by name") {
  const test::TempDir dir;
  const struct {
    ImatrixBuilder file;
    const char* says;
  } cases[] = {
      {ImatrixBuilder().number(2).entry("a", 1, {1}).entry("a", 1, {1}), "two entries of one name"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).text("").number(1).number(1).number(0), "without a name"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).text("b").number(1).number(0), "columns: expected 1 or more"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).text("b").number(1).number(-5), "columns: expected 1 or more"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).text("b").number(1).number(1 << 30),
       "ends before the numbers of this weight"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).number(-1), "the name of a weight: expected 0 or more"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).number(1 << 30), "--max-name-bytes"},
      {ImatrixBuilder().number(2).entry("a", 1, {1}).entry("\xff\xfe", 1, {1}), "is not UTF-8"},
      {ImatrixBuilder().number(1).entry("a", 1, {1}).number(-1), "chunks: expected 0 or more"},
      {ImatrixBuilder().number(1).entry("a", 1, {1}).number(1).text("x").number(7), "bytes after the end"},
      {ImatrixBuilder().number(std::numeric_limits<std::int32_t>::max()).entry("a", 1, {1}), "--max-entries"},
  };
  for (const auto& c : cases) {
    const std::string said = refusal(dir, c.file.bytes());
    CAPTURE(said);
    CAPTURE(c.says);
    CHECK(said.find(c.says) != std::string::npos);
    CHECK(said.find("x.dat") != std::string::npos);
  }
  CHECK(refusal(dir, good().bytes(), {.limits = {.header_bytes = 40}}).find("--max-header-bytes") != std::string::npos);
  CHECK(refusal(dir, good().bytes(), {.root = "a"}).find("no parts to choose from") != std::string::npos);
}
