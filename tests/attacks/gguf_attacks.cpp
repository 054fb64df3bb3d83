// GGUF files with one thing wrong.
#include <string>

#include "tests/attacks/attack.hpp"
#include "tests/support/gguf_builder.hpp"

namespace mq::attacks {
namespace {

using namespace std::string_literals;
using test::GgufBuilder;
using test::GgufTensor;
using test::raw;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

GgufBuilder good() {
  GgufBuilder file;
  file.text("general.architecture", "llama").array("words", 8, 2, test::gguf_string("a") + test::gguf_string("b"));
  file.value("flag", 7, "\x01").u32("general.alignment", 32);
  file.tensor("a.weight", {32, 2}, 8, std::string(68, 'a')).tensor("b", {3}, 0, std::string(12, 'b'));
  return file;
}

template <class Change>
void add(Attacks& attacks, const std::string& name, Change&& change) {
  GgufBuilder file = good();
  change(file);
  attacks.add(name, file.bytes());
}

void add_headers(Attacks& attacks) {
  add(attacks, "sound", [](auto&) {});
  add(attacks, "magic-reversed", [](auto& f) { f.magic = "FUGG"; });
  for (const std::uint32_t version : {0U, 1U, 4U, 0x03000000U, 0xffffffffU}) {
    add(attacks, "version-" + std::to_string(version), [&](auto& f) { f.version = version; });
  }
  struct Count {
    const char* name;
    std::int64_t value;
  };
  for (const Count& count : {Count{"negative", -1}, Count{"huge", kHuge}, Count{"largest", INT64_MAX},
                             Count{"of-a-gigabyte", 1 << 30}, Count{"zero", 0}}) {
    add(attacks, "tensors-"s + count.name, [&](auto& f) { f.tensor_count = count.value; });
    add(attacks, "values-"s + count.name, [&](auto& f) { f.value_count = count.value; });
  }
  add(attacks, "tensors-one-more", [](auto& f) { f.tensor_count = 3; });
  add(attacks, "tensors-one-less", [](auto& f) { f.tensor_count = 1; });
  add(attacks, "values-one-more", [](auto& f) { f.value_count = 5; });
  add(attacks, "values-one-less", [](auto& f) { f.value_count = 3; });
  add(attacks, "final-padding-missing", [](auto& f) { f.final_padding = false; });
  attacks.add("bytes-after-the-data", good().bytes() + std::string(100, 'x'));
  attacks.add("cut-after-the-magic", "GGUF");
  attacks.add("cut-after-the-counts", good().bytes().substr(0, 24));
}

void add_values(Attacks& attacks) {
  add(attacks, "key-empty", [](auto& f) { f.text("", "x"); });
  add(attacks, "key-twice", [](auto& f) { f.text("flag", "x"); });
  add(attacks, "key-not-utf-8", [](auto& f) { f.text("k\xff", "x"); });
  add(attacks, "key-with-nul", [](auto& f) { f.text("a\0b"s, "x"); });
  add(attacks, "key-with-escapes", [](auto& f) { f.text("\x1b[2J\n", "x"); });
  add(attacks, "key-longer-than-the-file", [](auto& f) { f.values.push_back(raw<std::uint64_t>(1 << 20) + "k"); });
  add(attacks, "key-of-2-63-bytes", [](auto& f) { f.values.push_back(raw(std::uint64_t{1} << 63) + "k"); });
  add(attacks, "key-length-wraps", [](auto& f) { f.values.push_back(raw(~std::uint64_t{0}) + "k"); });
  add(attacks, "value-type-13", [](auto& f) { f.value("k", 13, "x"); });
  add(attacks, "value-type-largest", [](auto& f) { f.value("k", 0xffffffff, "x"); });
  add(attacks, "value-bool-2", [](auto& f) { f.value("k", 7, "\x02"); });
  add(attacks, "value-text-longer-than-the-file", [](auto& f) { f.value("k", 8, raw<std::uint64_t>(1 << 29)); });
  add(attacks, "value-text-huge", [](auto& f) { f.value("k", 8, raw(kHuge)); });
  add(attacks, "value-text-length-wraps", [](auto& f) { f.value("k", 8, raw(~std::uint64_t{0})); });
  add(attacks, "value-text-not-utf-8", [](auto& f) { f.text("k", "\xff\xfe"); });
  add(attacks, "array-huge", [](auto& f) { f.array("k", 4, kHuge, ""); });
  add(attacks, "array-bytes-wrap", [](auto& f) { f.array("k", 10, std::uint64_t{1} << 61, ""); });
  add(attacks, "array-longer-than-the-file", [](auto& f) { f.array("k", 4, 1 << 29, ""); });
  add(attacks, "array-of-texts-longer-than-the-file", [](auto& f) { f.array("k", 8, 1 << 29, ""); });
  add(attacks, "array-text-longer-than-the-file", [](auto& f) { f.array("k", 8, 1, raw<std::uint64_t>(1 << 29)); });
  add(attacks, "array-of-bool-2", [](auto& f) { f.array("k", 7, 3, "\0\1\2"s); });
  add(attacks, "array-of-type-13", [](auto& f) { f.array("k", 13, 1, "x"); });
  add(attacks, "array-of-arrays", [](auto& f) { f.array("k", 9, 1, ""); });
  add(attacks, "array-of-arrays-deep", [](auto& f) {
    std::string inner;
    for (int i = 0; i < 50'000; ++i) inner += raw<std::uint32_t>(9) + raw<std::uint64_t>(1);
    f.array("k", 9, 1, inner);
  });
  struct Alignment {
    const char* name;
    std::uint32_t type;
    std::string bytes;
  };
  for (const Alignment& a : std::vector<Alignment>{{"0", 4, raw<std::uint32_t>(0)},
                                                   {"1", 4, raw<std::uint32_t>(1)},
                                                   {"24", 4, raw<std::uint32_t>(24)},
                                                   {"64", 4, raw<std::uint32_t>(64)},
                                                   {"2-mib", 4, raw<std::uint32_t>(2 << 20)},
                                                   {"2-31", 4, raw<std::uint32_t>(0x80000000)},
                                                   {"largest", 4, raw<std::uint32_t>(0xffffffff)},
                                                   {"of-64-bits", 10, raw<std::uint64_t>(32)},
                                                   {"a-text", 8, test::gguf_string("32")}}) {
    add(attacks, "alignment-"s + a.name,
        [&](auto& f) { f.values.back() = test::gguf_string("general.alignment") + raw(a.type) + a.bytes; });
  }
}

void add_tensors(Attacks& attacks) {
  const auto last = [&](const char* name, auto change) {
    add(attacks, name, [&](GgufBuilder& f) { change(f.tensors.back()); });
  };
  last("name-63-bytes", [](auto& t) { t.name = std::string(63, 'n'); });
  last("name-64-bytes", [](auto& t) { t.name = std::string(64, 'n'); });
  last("name-empty", [](auto& t) { t.name = ""; });
  last("name-not-utf-8", [](auto& t) { t.name = "b\xff"; });
  last("name-with-escapes", [](auto& t) { t.name = "\x1b[2J", t.offset = 1; });
  last("name-path", [](auto& t) { t.name = "../../etc/passwd"; });
  last("name-twice", [](auto& t) { t.name = "a.weight"; });
  last("rank-0", [](auto& t) { t.ne = {}, t.data = "1234"; });
  last("rank-5", [](auto& t) { t.rank = 5; });
  last("rank-largest", [](auto& t) { t.rank = 0xffffffff; });
  last("size-negative", [](auto& t) { t.ne = {-1}; });
  last("size-negative-twice", [](auto& t) { t.ne = {-3, -1}; });
  last("size-zero", [](auto& t) { t.ne = {0}, t.data = ""; });
  last("size-product-overflows", [](auto& t) { t.ne = {kHuge, 4}; });
  last("size-product-wraps-to-right", [](auto& t) { t.ne = {3, kHuge, 4, 1}; });
  last("size-product-overflows-behind-zero", [](auto& t) { t.ne = {0, kHuge, 4}; });
  last("size-bytes-overflow", [](auto& t) { t.ne = {kHuge}; });
  last("size-beyond-the-file", [](auto& t) { t.ne = {9}; });
  last("size-far-beyond-the-file", [](auto& t) { t.ne = {kHuge / 4}; });
  last("size-no-whole-block", [](auto& t) { t.type = 2; });
  last("size-rows-no-whole-block", [](auto& t) { t.ne = {32, 8}, t.type = 12; });
  last("size-scalar-of-blocks", [](auto& t) { t.ne = {}, t.type = 8; });
  last("offset-before", [](auto& t) { t.offset = 64; });
  last("offset-zero", [](auto& t) { t.offset = 0; });
  last("offset-unaligned", [](auto& t) { t.offset = 97; });
  last("offset-behind", [](auto& t) { t.offset = 128; });
  last("offset-largest", [](auto& t) { t.offset = ~std::uint64_t{0}; });
  add(attacks, "offset-of-the-first", [](auto& f) { f.tensors.front().offset = 32; });
  add(attacks, "offset-sum-wraps", [](GgufBuilder& f) {
    f.tensors.clear();
    for (int i = 0; i < 3; ++i) {
      f.tensors.push_back({.name = std::to_string(i),
                           .ne = {INT64_MAX},
                           .type = 24,
                           .data = "",
                           .offset = i == 0 ? 0 : std::uint64_t{1} << 63});
    }
  });
  for (const std::int32_t type : {4, 5, 31, 33, 36, 38, 43, 97, 139, 202, -1, INT32_MAX}) {
    add(attacks, "type-" + std::to_string(type), [&](auto& f) { f.tensors.back().type = type; });
  }
  // 256 weights: 72 bytes in blocks of 64, 68 in the blocks of 128 that forks have.
  add(attacks, "type-42-of-a-fork", [](auto& f) { f.tensors.front() = {"a", {256, 8}, 42, std::string(544, 'a')}; });
}

void add_changes(Attacks& attacks) {
  namespace fs = std::filesystem;
  const std::string bytes = good().bytes();
  attacks.add_change("changed-shorter", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size / 2); });
  attacks.add_change("changed-longer", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size + 1); });
}

}  // namespace

std::vector<Attack> gguf_attacks() {
  Attacks attacks("gguf");
  add_headers(attacks);
  add_values(attacks);
  add_tensors(attacks);
  add_changes(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
