#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using namespace std::string_literals;
using test::GgufBuilder;
using test::raw;

namespace {

std::unique_ptr<Checkpoint> open(const test::TempDir& dir, const GgufBuilder& file, const OpenOptions& options = {}) {
  return open_checkpoint(test::write_file(dir / "m.gguf", file.bytes()), options);
}

template <class T>
T value_of(const Checkpoint& checkpoint, std::string_view key) {
  for (const auto& [name, value] : checkpoint.metadata()) {
    if (name == key) return std::get<T>(value);
  }
  FAIL("no key " << key);
  return {};
}

}  // namespace

TEST_CASE("gguf: the file of the format reference reads as two tensors with row-major shapes") {
  // Two float32 tensors; the data begins at 0x100, the second tensor 0x20 bytes after the first.
  GgufBuilder file;
  file.text("general.architecture", "llama").text("general.name", "tiny");
  file.array("arr", 5, 2, raw(1) + raw(2)).u32("general.file_type", 0);
  file.tensor("t.weight", {3, 2}, 0, std::string(24, 'a')).tensor("u", {4}, 0, std::string(16, 'b'));
  const std::string bytes = file.bytes();
  CHECK(bytes.substr(0, 16) == "GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0"s);
  CHECK(bytes.substr(24, 40) == "\x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0"s);
  CHECK(bytes.find("\x03\0\0\0\0\0\0\0arr\x09\0\0\0\x05\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0"s) !=
        std::string::npos);
  CHECK(
      bytes.find("\x08\0\0\0\0\0\0\0t.weight\x02\0\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s) !=
      std::string::npos);
  const test::TempDir dir;
  const auto checkpoint = open(dir, file);
  CHECK(checkpoint->format() == "gguf");
  REQUIRE(checkpoint->tensors().size() == 2);
  CHECK(checkpoint->tensors()[0] == TensorInfo{.name = "t.weight", .dtype = DType::Float32, .shape = {2, 3}});
  CHECK(checkpoint->tensors()[1].shape == Shape{4});
  CHECK(test::bytes_of_tensor(*checkpoint, 0) == std::string(24, 'a'));
  CHECK(test::bytes_of_tensor(*checkpoint, 1) == std::string(16, 'b'));
  REQUIRE(checkpoint->left_out().size() == 1);
  CHECK(checkpoint->left_out()[0].what == "arr (array of 2 i32 numbers)");
}

TEST_CASE("gguf: values of every type") {
  GgufBuilder file;
  file.value("u8", 0, raw<std::uint8_t>(200)).value("i8", 1, raw<std::int8_t>(-5));
  file.value("u16", 2, raw<std::uint16_t>(60000)).value("i16", 3, raw<std::int16_t>(-300));
  file.u32("u32", 4'000'000'000).value("i32", 5, raw(-7)).value("f32", 6, raw(1e-5F));
  file.value("bool", 7, "\x01").text("text", "gr\xc3\xbc\xc3\x9f").value("u64", 10, raw<std::uint64_t>(1));
  file.value("big", 10, raw<std::uint64_t>(0xffffffffffffffff)).value("i64", 11, raw<std::int64_t>(-1));
  file.value("f64", 12, raw(0.1)).text("bytes", "\xff\xfe").array("bools", 7, 2, "\0\x01"s);
  file.array("words", 8, 2, test::gguf_string("a") + test::gguf_string("\xff")).array("none", 8, 0, "");
  const test::TempDir dir;
  const auto checkpoint = open(dir, file);
  CHECK(checkpoint->tensors().empty());
  CHECK(value_of<std::int64_t>(*checkpoint, "u8") == 200);
  CHECK(value_of<std::int64_t>(*checkpoint, "i8") == -5);
  CHECK(value_of<std::int64_t>(*checkpoint, "u16") == 60000);
  CHECK(value_of<std::int64_t>(*checkpoint, "i16") == -300);
  CHECK(value_of<std::int64_t>(*checkpoint, "u32") == 4'000'000'000);
  CHECK(value_of<std::int64_t>(*checkpoint, "i32") == -7);
  CHECK(value_of<double>(*checkpoint, "f32") == double{1e-5F});
  CHECK(value_of<bool>(*checkpoint, "bool"));
  CHECK(value_of<std::string>(*checkpoint, "text") == "grüß");
  CHECK(value_of<std::int64_t>(*checkpoint, "u64") == 1);
  CHECK(value_of<std::string>(*checkpoint, "big") == "18446744073709551615");
  CHECK(value_of<std::int64_t>(*checkpoint, "i64") == -1);
  CHECK(value_of<double>(*checkpoint, "f64") == 0.1);
  std::vector<std::string> left_out;
  for (const LeftOut& part : checkpoint->left_out()) left_out.push_back(part.what);
  CHECK(left_out == std::vector<std::string>{"bytes (a string that is not UTF-8)", "bools (array of 2 bools)",
                                             "words (array of 2 strings)", "none (array of 0 strings)"});
}

TEST_CASE("gguf: every type of known size has its dtype and is read in whole blocks") {
  struct Case {
    std::int32_t type;
    DType dtype;
  };
  const test::TempDir dir;
  for (const Case& row :
       {Case{0, DType::Float32},   Case{1, DType::Float16}, Case{2, DType::Q4_0},     Case{3, DType::Q4_1},
        Case{6, DType::Q5_0},      Case{7, DType::Q5_1},    Case{8, DType::Q8_0},     Case{9, DType::Q8_1},
        Case{10, DType::Q2_K},     Case{11, DType::Q3_K},   Case{12, DType::Q4_K},    Case{13, DType::Q5_K},
        Case{14, DType::Q6_K},     Case{15, DType::Q8_K},   Case{16, DType::IQ2_XXS}, Case{17, DType::IQ2_XS},
        Case{18, DType::IQ3_XXS},  Case{19, DType::IQ1_S},  Case{20, DType::IQ4_NL},  Case{21, DType::IQ3_S},
        Case{22, DType::IQ2_S},    Case{23, DType::IQ4_XS}, Case{24, DType::Int8},    Case{25, DType::Int16},
        Case{26, DType::Int32},    Case{27, DType::Int64},  Case{28, DType::Float64}, Case{29, DType::IQ1_M},
        Case{30, DType::BFloat16}, Case{34, DType::TQ1_0},  Case{35, DType::TQ2_0},   Case{39, DType::MXFP4},
        Case{40, DType::NVFP4},    Case{41, DType::Q1_0},   Case{42, DType::Q2_0}}) {
    CAPTURE(row.type);
    std::string data(static_cast<std::size_t>(bytes_of(row.dtype, 3 * 256)), '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7);
    GgufBuilder file;
    file.tensor("a", {256, 3}, row.type, data).tensor("b", {256, 3}, row.type, data);
    const auto checkpoint = open(dir, file);
    CHECK(checkpoint->tensors()[1] == TensorInfo{.name = "b", .dtype = row.dtype, .shape = {3, 256}});
    CHECK(test::bytes_of_tensor(*checkpoint, 1) == data);
    const std::int64_t block = info(row.dtype).block_numel;
    std::vector<std::byte> one(static_cast<std::size_t>(info(row.dtype).block_bytes));
    checkpoint->read(1, block, block, one);
    CHECK(std::string(reinterpret_cast<const char*>(one.data()), one.size()) == data.substr(one.size(), one.size()));
    if (block > 1) CHECK(test::code_of([&] { checkpoint->read(1, 1, block, one); }) == ErrorCode::Usage);
  }
}

TEST_CASE("gguf: version 2, other alignments, scalars, empty tensors and missing final padding are read") {
  const test::TempDir dir;
  GgufBuilder file{.version = 2, .alignment = 64, .final_padding = false};
  file.u32("general.alignment", 64);
  file.tensor("scalar", {}, 0, "abcd").tensor("empty", {0, 5}, 12, "").tensor("stack", {2, 1, 3, 1}, 24, "abcdef");
  const auto checkpoint = open(dir, file);
  REQUIRE(checkpoint->tensors().size() == 3);
  CHECK(checkpoint->tensors()[0].shape.empty());
  CHECK(checkpoint->tensors()[1].shape == Shape{5, 0});
  CHECK(checkpoint->tensors()[2].shape == Shape{1, 3, 1, 2});
  CHECK(test::bytes_of_tensor(*checkpoint, 0) == "abcd");
  CHECK(test::bytes_of_tensor(*checkpoint, 2) == "abcdef");
  CHECK(checkpoint->left_out().empty());

  // The last tensor with data ends the file, whatever follows without any.
  file.tensor("nothing", {0}, 0, "");
  CHECK(test::bytes_of_tensor(*open_checkpoint(test::write_file(dir / "n", file.bytes())), 2) == "abcdef");
}

TEST_CASE("gguf: bytes after the last tensor are listed as left out") {
  const test::TempDir dir;
  GgufBuilder file;
  file.tensor("a", {3}, 24, "abc");
  const auto checkpoint = open_checkpoint(test::write_file(dir / "m", file.bytes() + "more"));
  REQUIRE(checkpoint->left_out().size() == 1);
  CHECK(checkpoint->left_out()[0] == LeftOut{.what = "bytes after the last tensor", .size_bytes = 4});
}

TEST_CASE("gguf: a vocabulary is passed over, within the limit on headers") {
  const test::TempDir dir;
  GgufBuilder file;
  std::string words;
  for (int i = 0; i < 50'000; ++i) words += test::gguf_string("word" + std::to_string(i));
  file.array("tokenizer.ggml.tokens", 8, 50'000, words).tensor("a", {2}, 24, "ab");
  const auto checkpoint = open(dir, file);
  CHECK(test::bytes_of_tensor(*checkpoint, 0) == "ab");
  CHECK(checkpoint->left_out()[0].what == "tokenizer.ggml.tokens (array of 50000 strings)");
  CHECK(checkpoint->left_out()[0].size_bytes > 800'000);
  CHECK(test::code_of([&] { open(dir, file, {.limits = {.header_bytes = 500'000}}); }) == ErrorCode::Limit);
}

TEST_CASE("gguf: what the gguf package writes is read") {
  const auto checkpoint = open_checkpoint(test::data_dir() / "gguf/types.gguf");
  CHECK(checkpoint->tensors().size() == 22);
  CHECK(*find_string(checkpoint->metadata(), "general.architecture") == "llama");
  const auto values = [&](std::string_view name) {
    const auto index = checkpoint->find(name);
    REQUIRE(index);
    CHECK((checkpoint->tensors()[*index].shape == Shape{2, 3}));
    return checkpoint->read(*index);
  };
  CHECK(values("plain.f4").as<float>()[5] == 5);
  CHECK(values("plain.f8").as<double>()[5] == 5);
  CHECK(values("plain.i1").as<std::int8_t>()[5] == 5);
  CHECK(values("plain.i2").as<std::int16_t>()[5] == 5);
  CHECK(values("plain.i4").as<std::int32_t>()[5] == 5);
  CHECK(values("plain.i8").as<std::int64_t>()[5] == 5);
}
