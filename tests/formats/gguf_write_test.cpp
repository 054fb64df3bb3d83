// GGUF files as they are written.
#include <doctest/doctest.h>

#include <string>

#include "formats/gguf_value.hpp"
#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/gguf_builder.hpp"

using namespace mq;
using formats::gguf_value;
using test::NamedBytes;
using test::sample;

namespace {

std::string message_of_begin(const test::TempDir& dir, const Layout& layout) {
  return test::message_of([&] { create_checkpoint(dir / "out.gguf", "gguf")->begin(layout); });
}

Layout one(TensorInfo tensor) {
  return {.tensors = {std::move(tensor)}};
}

void write(const std::filesystem::path& path, const Layout& layout, const std::vector<NamedBytes>& tensors) {
  const auto writer = create_checkpoint(path, "gguf");
  writer->begin(layout);
  test::write_all(*writer, tensors);
  writer->finish();
  CHECK(writer->size_bytes() == static_cast<std::int64_t>(std::filesystem::file_size(path)));
  CHECK(writer->size_bytes() == layout_size_bytes(layout, "gguf"));
}

}  // namespace

TEST_CASE("gguf: header, key-values and data are the bytes of the format") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors = {sample("t.weight", DType::Float32, {2, 3}),
                                           sample("blk.0.ffn_up.weight", DType::Q4_K, {2, 256})};
  const std::vector<std::string> words = {"a", "", "\xc4\xa0t"};
  const std::vector<std::int32_t> numbers = {1, -2};
  Layout layout = test::layout_of(tensors);
  layout.values = {gguf_value("general.architecture", std::string_view("llama")),
                   gguf_value("n", std::uint32_t{7}),
                   gguf_value("eps", 1e-5f),
                   gguf_value("flag", true),
                   gguf_value("words", std::span<const std::string>(words)),
                   gguf_value("arr", std::span<const std::int32_t>(numbers))};
  write(dir / "m.gguf", layout, tensors);
  test::GgufBuilder expected;
  expected.text("general.architecture", "llama").u32("n", 7).value("eps", 6, test::raw(1e-5f)).value("flag", 7, "\x01");
  expected.array("words", 8, 3, test::gguf_string("a") + test::gguf_string("") + test::gguf_string("\xc4\xa0t"));
  expected.array("arr", 5, 2, test::raw(std::int32_t{1}) + test::raw(std::int32_t{-2}));
  expected.tensor("t.weight", {3, 2}, 0, tensors[0].bytes);
  expected.tensor("blk.0.ffn_up.weight", {256, 2}, 12, tensors[1].bytes);
  CHECK(test::read_file(dir / "m.gguf") == expected.bytes());
  CHECK(formats::read_gguf_values(dir / "m.gguf", {}) == layout.values);
}

TEST_CASE("gguf: general.alignment among the key-values says where tensors begin") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors = {sample("a", DType::Int8, {5}), sample("b", DType::Int8, {200})};
  for (const std::uint32_t alignment : {1u, 8u, 64u, 4096u}) {
    CAPTURE(alignment);
    Layout layout = test::layout_of(tensors);
    layout.values = {gguf_value("general.alignment", alignment)};
    const auto path = dir / (std::to_string(alignment) + ".gguf");
    write(path, layout, tensors);
    CHECK(test::read_checkpoint(*open_checkpoint(path)) == tensors);
    CHECK(std::filesystem::file_size(path) % alignment == 0);
  }
  Layout odd = test::layout_of(tensors);
  odd.values = {gguf_value("general.alignment", 24u)};
  CHECK(message_of_begin(dir, odd).find("a power of two") != std::string::npos);
  odd.values = {gguf_value("general.alignment", true)};
  CHECK(message_of_begin(dir, odd).find("another type") != std::string::npos);
}

TEST_CASE("gguf: a file without tensors or without key-values is one too") {
  const test::TempDir dir;
  write(dir / "none.gguf", {}, {});
  CHECK(test::read_file(dir / "none.gguf") == test::GgufBuilder().bytes());
  Layout values;
  values.values = {gguf_value("k", 1u)};
  write(dir / "values.gguf", values, {});
  CHECK(open_checkpoint(dir / "values.gguf")->metadata() == Metadata{{"k", std::int64_t{1}}});
}

TEST_CASE("gguf: what the format cannot hold is refused with the tensor's name, before anything is written") {
  const test::TempDir dir;
  const std::string longest(63, 'n');
  CHECK(message_of_begin(dir, one({.name = longest, .dtype = DType::Float32, .shape = {1}})) == "no error");
  const auto refused = [&](TensorInfo tensor, std::string_view why) {
    const std::string name = tensor.name;
    const std::string message = message_of_begin(dir, one(std::move(tensor)));
    CAPTURE(message);
    CHECK(message.find(why) != std::string::npos);
    CHECK(message.find(name) != std::string::npos);
  };
  refused({.name = longest + "n", .dtype = DType::Float32, .shape = {1}}, "at most 63 bytes");
  refused({.name = "deep", .dtype = DType::Float32, .shape = {1, 1, 1, 1, 1}}, "at most 4");
  refused({.name = "u8", .dtype = DType::UInt8, .shape = {1}}, "uint8");
  refused({.name = "f8", .dtype = DType::Float8E4M3FN, .shape = {1}}, "float8_e4m3fn");
  refused({.name = "short", .dtype = DType::Q4_K, .shape = {4, 128}}, "a multiple of 256");
  refused({.name = "conv", .dtype = DType::Q8_0, .shape = {32, 32, 3}}, "a multiple of 32");
  const TensorInfo tensor{.name = "a", .dtype = DType::Float32, .shape = {1}};
  CHECK(message_of_begin(dir, {.tensors = {tensor, tensor}}).find("tensor name twice") != std::string::npos);
  CHECK(message_of_begin(dir, {.values = {gguf_value("k", 1u), gguf_value("k", 2u)}}).find("key twice") !=
        std::string::npos);
  CHECK(test::names_in(dir.path()).empty());
}
