#include <doctest/doctest.h>

#include <array>
#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::NamedBytes;
using test::sample;

namespace {

constexpr DType kHeld[] = {DType::Bool,           DType::UInt8,         DType::Int8,       DType::UInt16,
                           DType::Int16,          DType::UInt32,        DType::Int32,      DType::UInt64,
                           DType::Int64,          DType::Float16,       DType::BFloat16,   DType::Float32,
                           DType::Float64,        DType::Float8E4M3FN,  DType::Float8E5M2, DType::Float8E4M3FNUZ,
                           DType::Float8E5M2FNUZ, DType::Float8E8M0FNU, DType::Float4E2M1, DType::Float6E2M3,
                           DType::Float6E3M2,     DType::Complex64};

std::optional<ErrorCode> code_of_begin(const test::TempDir& dir, const Layout& layout) {
  return test::code_of([&] { create_checkpoint(dir / "out", "safetensors")->begin(layout); });
}

}  // namespace

TEST_CASE("safetensors: the example of the format is written byte for byte") {
  const test::TempDir dir;
  const std::array<float, 2> w{1.0F, 2.0F};
  const std::vector<NamedBytes> tensors{{{.name = "b", .dtype = DType::Int8, .shape = {1}}, "\x03"},
                                        {{.name = "w", .dtype = DType::Float32, .shape = {1, 2}},
                                         std::string(reinterpret_cast<const char*>(w.data()), sizeof(w))}};
  const std::string expected =
      std::string("\x90\0\0\0\0\0\0\0", 8) +
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}})" +
      "     " + std::string("\0\0\x80\x3f\0\0\0\x40\x03", 9);
  REQUIRE(expected.size() == 161);
  test::write_checkpoint(dir / "a", "safetensors", tensors);
  CHECK(test::read_file(dir / "a") == expected);
  test::write_checkpoint(dir / "b", "safetensors", tensors, {{"format", std::string("pt")}});
  CHECK(test::read_file(dir / "b") == expected);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("safetensors: tensors of every dtype are read back as they were written, each aligned to its element") {
  const test::TempDir dir;
  std::vector<NamedBytes> tensors;
  for (const DType dtype : kHeld) tensors.push_back(sample(std::string(to_string(dtype)), dtype, {3, 4}));
  tensors.push_back(sample("scalar", DType::Float32, {}));
  tensors.push_back(sample("empty", DType::Int64, {0, 7}));
  tensors.push_back(sample("", DType::UInt8, {1}));
  tensors.push_back(sample(std::string("x\0\"\\\n../ü", 10), DType::UInt8, {5}));
  const Metadata metadata{{"z", std::string("1")}, {"format", std::string("pt")}, {"a", std::string("quote\" ü")}};
  const auto writer = create_checkpoint(dir / "out", "safetensors");
  writer->begin(test::layout_of(tensors, metadata));
  test::write_all(*writer, tensors);
  writer->finish();
  CHECK(static_cast<std::uintmax_t>(writer->size_bytes()) == std::filesystem::file_size(dir / "out"));
  const auto checkpoint = open_checkpoint(dir / "out");
  CHECK(checkpoint->metadata() == metadata);
  std::ranges::sort(tensors, {}, [](const NamedBytes& entry) { return entry.tensor.name; });
  CHECK(test::read_checkpoint(*checkpoint) == tensors);
}

TEST_CASE("safetensors: metadata without a format gets one") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "out", "safetensors", {}, {{"k", std::string("v")}});
  CHECK(open_checkpoint(dir / "out")->metadata() == Metadata{{"format", std::string("pt")}, {"k", std::string("v")}});
}

TEST_CASE("safetensors: tiles in any order and shape make the same file") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors{sample("w", DType::Float32, {6, 8})};  // rows of 32 bytes
  test::write_checkpoint(dir / "whole", "safetensors", tensors);
  const auto bytes = std::as_bytes(std::span(tensors[0].bytes));
  const auto writer = create_checkpoint(dir / "tiles", "safetensors");
  writer->begin(test::layout_of(tensors));
  writer->write(0, 4, 2, 0, 32, bytes.subspan(128));  // the last two rows
  for (const std::int64_t strip : {16, 0}) {          // the others in two column strips
    std::string tile;
    for (std::size_t row = 0; row < 4; ++row)
      tile += tensors[0].bytes.substr(row * 32 + static_cast<std::size_t>(strip), 16);
    writer->write(0, 0, 4, strip, 32, std::as_bytes(std::span(tile)));
  }
  writer->finish();
  CHECK(test::read_file(dir / "tiles") == test::read_file(dir / "whole"));
}

TEST_CASE("safetensors: a tile outside its tensor, written twice or missing is refused") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors{sample("w", DType::UInt8, {4, 8}), sample("empty", DType::UInt8, {0})};
  const auto writer = create_checkpoint(dir / "out", "safetensors");
  writer->begin(test::layout_of(tensors));
  const std::string data(64, 'x');
  const auto refused = [&](std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
                           std::int64_t row_bytes, std::size_t bytes) {
    return test::code_of([&] {
             writer->write(index, first_row, rows, first_byte, row_bytes, std::as_bytes(std::span(data)).first(bytes));
           }) == ErrorCode::Usage;
  };
  CHECK(refused(0, 0, 1, 0, 0, 8));
  CHECK(refused(0, 0, 1, 0, 7, 7));
  CHECK(refused(0, 4, 1, 0, 8, 8));
  CHECK(refused(0, -1, 1, 0, 8, 8));
  CHECK(refused(0, 0, 0, 0, 8, 8));
  CHECK(refused(0, 0, 2, 0, 8, 15));
  CHECK(refused(0, 0, 1, 4, 8, 5));
  CHECK(refused(0, 0, 1, -1, 8, 8));
  CHECK(refused(1, 0, 1, 0, 1, 1));
  CHECK(refused(2, 0, 1, 0, 1, 1));
  writer->write(0, 0, 3, 0, 8, std::as_bytes(std::span(data)).first(24));
  CHECK(test::message_of([&] {
          writer->finish();
        }).find("tensor w: not written completely: expected 32 bytes, found 24") != std::string::npos);
  CHECK(refused(0, 0, 2, 0, 8, 16));
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
}

TEST_CASE("safetensors: names, metadata and types that it cannot hold are refused, and leave nothing behind") {
  const test::TempDir dir;
  const auto with = [](NamedBytes entry) { return test::layout_of({std::move(entry)}); };
  CHECK(code_of_begin(dir, with(sample("x", DType::Complex128, {1}))) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, with(sample("x", DType::Complex32, {1}))) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, with(sample("__metadata__", DType::UInt8, {1}))) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, with(sample("\xff", DType::UInt8, {1}))) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, test::layout_of({sample("x", DType::UInt8, {1}), sample("x", DType::UInt8, {2})})) ==
        ErrorCode::Usage);
  CHECK(code_of_begin(dir, test::layout_of({}, {{"k", std::int64_t{1}}})) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, test::layout_of({}, {{"k", std::string("\xff")}})) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, test::layout_of({}, {{"k", std::string("1")}, {"k", std::string("1")}})) ==
        ErrorCode::Usage);
  CHECK(code_of_begin(dir, {.copies = {{.name = "config.json"}}}) == ErrorCode::Usage);
  CHECK(code_of_begin(dir, {.texts = {{"../x", ""}}}) == ErrorCode::Usage);
  CHECK(test::names_in(dir.path()).empty());
}

TEST_CASE("safetensors: texts stand beside the file under its name, and appear with it") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors{sample("w", DType::UInt8, {4})};
  const auto write = [&](bool overwrite, std::string content) {
    const bool existed = std::filesystem::exists(dir / "out.safetensors.mq.json");
    const auto writer = create_checkpoint(dir / "out.safetensors", "safetensors", {.overwrite = overwrite});
    writer->begin(test::layout_of(tensors));
    test::write_all(*writer, tensors);
    writer->add_text("mq.json", std::move(content));
    CHECK(std::filesystem::exists(dir / "out.safetensors.mq.json") == existed);
    writer->finish();
  };
  write(false, "one");
  CHECK(test::read_file(dir / "out.safetensors.mq.json") == "one");
  write(true, "two");
  CHECK(test::read_file(dir / "out.safetensors.mq.json") == "two");
  std::filesystem::remove(dir / "out.safetensors");
  CHECK(test::code_of([&] { write(false, "three"); }) == ErrorCode::Io);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"out.safetensors.mq.json"});
  CHECK(test::read_file(dir / "out.safetensors.mq.json") == "two");
}

TEST_CASE("create_checkpoint: an unknown format is refused with the names of those that can be written") {
  const test::TempDir dir;
  const std::string message = test::message_of([&] { create_checkpoint(dir / "x", "parquet"); });
  CHECK(message.find("safetensors") != std::string::npos);
  CHECK(message.find("hf_safetensors") != std::string::npos);
  CHECK(message.find("parquet") != std::string::npos);
}
