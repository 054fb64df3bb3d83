#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/gguf_builder.hpp"

using namespace mq;
using namespace std::string_literals;
using test::GgufBuilder;
using test::raw;

namespace {

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

GgufBuilder good() {
  GgufBuilder file;
  file.text("general.architecture", "llama").array("words", 8, 2, test::gguf_string("a") + test::gguf_string("b"));
  file.value("flag", 7, "\x01").u32("general.alignment", 32);
  file.tensor("a.weight", {32, 2}, 8, std::string(68, 'a')).tensor("b", {3}, 0, std::string(12, 'b'));
  return file;
}

// Opens and reads everything. Any mq::Error is fine, anything else fails the test by passing through.
bool opens(const std::filesystem::path& path, std::string_view bytes) {
  test::write_file(path, bytes);
  return !test::error_of([&] {
    const auto checkpoint = open_checkpoint(path);
    for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) checkpoint->read(i);
  });
}

// One thing that is wrong with a file, and what is said about it.
struct Case {
  std::function<void(GgufBuilder&)> change;
  std::string says;
  ErrorCode code = ErrorCode::Corrupt;
};

void check(const std::vector<Case>& cases) {
  const test::TempDir dir;
  for (const Case& row : cases) {
    GgufBuilder file = good();
    row.change(file);
    const std::string path = (dir / "m.gguf").string();
    test::write_file(path, file.bytes());
    const auto error = test::error_of([&] { open_checkpoint(path); });
    CAPTURE(row.says);
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == row.code);
    CHECK(std::string(error->what()).find(row.says) != std::string::npos);
    CHECK(error->details().file == path);
  }
}

}  // namespace

TEST_CASE("gguf: bad key-values are refused") {
  check({
      {[](auto& f) { f.text("", "x"); }, "empty key"},
      {[](auto& f) { f.text("flag", "x"); }, "key twice: expected unique keys, found flag"},
      {[](auto& f) { f.text("k\xff", "x"); }, "bad name: expected UTF-8 without zeros"},
      {[](auto& f) { f.text("a\0b"s, "x"); }, "bad name"},
      {[](auto& f) { f.value("k", 13, "x"); }, "unknown type of the value of k: expected a number below 13, found 13"},
      {[](auto& f) { f.value("k", 0xffffffff, "x"); }, "unknown type of the value of k"},
      {[](auto& f) { f.value("k", 7, "\x02"); }, "bad bool in k: expected 0 or 1, found 2"},
      {[](auto& f) { f.array("k", 7, 3, "\0\1\2"s); }, "bad bool in k"},
      {[](auto& f) { f.value("k", 8, raw(kHuge)); }, "string too long in k"},
      {[](auto& f) { f.value("k", 8, raw<std::uint64_t>(1 << 29)); }, "truncated"},
      {[](auto& f) { f.array("k", 4, kHuge, ""); }, "array too long: k"},
      {[](auto& f) { f.array("k", 4, 1 << 29, ""); }, "array too long: k"},
      {[](auto& f) { f.array("k", 8, 1 << 29, ""); }, "array too long: k"},
      {[](auto& f) { f.array("k", 8, 1, raw<std::uint64_t>(1 << 29)); }, "truncated"},
      {[](auto& f) { f.array("k", 13, 1, "x"); }, "unknown type of the value of k"},
      {[](auto& f) { f.array("k", 9, 1, ""); }, "arrays of arrays are not read", ErrorCode::Unsupported},
  });
}

TEST_CASE("gguf: bad tensor entries are refused with the name of the tensor") {
  const auto last = [](auto change) { return [=](GgufBuilder& f) { change(f.tensors.back()); }; };
  check({
      {last([](auto& t) { t.name = std::string(64, 'n'); }), "name of a tensor too long: expected at most 63 bytes"},
      {last([](auto& t) { t.name = "b\xff"; }), "bad name"},
      {last([](auto& t) { t.name = "a.weight"; }), "tensor a.weight: tensor name twice"},
      {last([](auto& t) { t.rank = 5; }), "tensor b: dimensions of a tensor: expected at most 4, found 5"},
      {last([](auto& t) { t.rank = 0xffffffff; }), "dimensions of a tensor"},
      {last([](auto& t) { t.ne = {-1}; }), "tensor b: negative dimension"},
      {last([](auto& t) {
         t.ne = {kHuge, 4};
       }),
       "more elements than 2^63 - 1", ErrorCode::Limit},
      {last([](auto& t) {
         t.ne = {0, kHuge, 4};
       }),
       "more elements than 2^63 - 1", ErrorCode::Limit},
      {last([](auto& t) { t.ne = {kHuge}; }), "more bytes than 2^63 - 1", ErrorCode::Limit},
      {last([](auto& t) { t.ne = {9}; }), "the file ends inside its data"},
      {last([](auto& t) { t.ne = {kHuge / 4}; }), "the file ends inside its data"},
      {last([](auto& t) { t.type = 2; }),
       "tensor b: rows that are not whole blocks of q4_0: expected a multiple of 32 elements, found 3"},
      {last([](auto& t) {
         t.ne = {32, 8}, t.type = 12;
       }),
       "rows that are not whole blocks of q4_k"},
      {last([](auto& t) { t.ne = {}, t.type = 8; }), "rows that are not whole blocks of q8_0"},
      {last([](auto& t) { t.offset = 64; }), "expected 96, found 64"},
      {last([](auto& t) { t.offset = 97; }), "expected 96, found 97"},
      {last([](auto& t) { t.offset = 0; }), "expected 96, found 0"},
      {[](auto& f) { f.tensors.front().offset = 32; }, "tensor a.weight: offset of a tensor"},
  });
}

TEST_CASE("gguf: types that are retired, foreign or unknown are refused by name") {
  const ErrorCode unsupported = ErrorCode::Unsupported;
  const auto type = [](std::int32_t number) { return [=](GgufBuilder& f) { f.tensors.back().type = number; }; };
  check({
      {type(4), "type 4 (Q4_2), which is retired (re-quantize with a current tool)", unsupported},
      {type(5), "Q4_3", unsupported},
      {type(31), "Q4_0_4_4", unsupported},
      {type(32), "Q4_0_4_8", unsupported},
      {type(33), "Q4_0_8_8", unsupported},
      {type(36), "IQ4_NL_4_4", unsupported},
      {type(37), "IQ4_NL_4_8", unsupported},
      {type(38), "IQ4_NL_8_8", unsupported},
      {type(97), "type 97, which only ik_llama.cpp has", unsupported},
      {type(139), "ik_llama.cpp", unsupported},
      {type(202), "ik_llama.cpp", unsupported},
      {type(43), "tensor b: tensor type that is not read: expected a type of known size, found type 43", unsupported},
      {type(-1), "found type -1", unsupported},
      {type(0x7fffffff), "found type 2147483647", unsupported},
  });
}

TEST_CASE("gguf: blocks of another size under the number of Q2_0 are found out") {
  // 256 weights: 72 bytes in blocks of 64, 68 in the blocks of 128 that forks have.
  const auto fork = [](GgufBuilder& f) { f.tensors.front() = {"a", {256, 8}, 42, std::string(2 * 8 * 34, 'a')}; };
  check(
      {{fork, "tensor a: type 42 with an unexpected size: expected blocks of 64 weights in 18 bytes, found 544 bytes"},
       {[&](auto& f) {
          fork(f);
          f.tensors.pop_back();
        },
        "tensor a: type 42 with an unexpected size"}});
}

TEST_CASE("gguf: limits of the caller are kept") {
  const test::TempDir dir;
  test::write_file(dir / "m", good().bytes());
  const auto code = [&](const Limits& limits) {
    return test::code_of([&] { open_checkpoint(dir / "m", {.limits = limits}); });
  };
  CHECK_FALSE(code({}));
  CHECK(code({.header_bytes = 100}) == ErrorCode::Limit);
  CHECK(code({.name_bytes = 10}) == ErrorCode::Limit);
  CHECK(code({.rank = 1}) == ErrorCode::Limit);
  CHECK(code({.entries = 1}) == ErrorCode::Limit);
}

TEST_CASE("gguf: a file cut at any length is an error, but for the final padding") {
  const test::TempDir dir;
  const std::string whole = good().bytes();
  GgufBuilder tight = good();
  tight.final_padding = false;
  const std::size_t needed = tight.bytes().size();
  REQUIRE(needed < whole.size());
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    CAPTURE(length);
    CHECK(opens(dir / "m", std::string_view(whole).substr(0, length)) == (length >= needed));
  }
}
