#include <doctest/doctest.h>

#include <string>

#include "mq/checkpoint.hpp"
#include "src/json.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sha256.hpp"

using namespace mq;
using test::safetensors_bytes;

namespace {

std::unique_ptr<Checkpoint> open_bytes(const test::TempDir& dir, std::string_view bytes) {
  return open_checkpoint(test::write_file(dir / "t.safetensors", bytes));
}

// A header with one entry, and data to match.
std::string one_tensor(std::string_view entry, std::size_t data_bytes) {
  return safetensors_bytes("{\"x\":" + std::string(entry) + "}", std::string(data_bytes, 'd'));
}

}  // namespace

TEST_CASE("safetensors: every tensor of a file by the reference has the dtype, shape and bytes of its oracle") {
  const auto checkpoint = open_checkpoint(test::data_dir() / "pt/dtypes.safetensors");
  CHECK(checkpoint->format() == "safetensors");
  const json::Value oracle =
      json::parse(test::read_file(test::data_dir() / "pt/dtypes.safetensors.oracle.json"), "oracle");
  const json::Array& expected = *oracle.find("tensors")->as_array();
  REQUIRE(checkpoint->tensors().size() == expected.size());
  for (const json::Value& tensor : expected) {
    const std::string& name = *tensor.find("path")->as_array()->at(0).as_string();
    CAPTURE(name);
    const auto index = checkpoint->find(name);
    REQUIRE(index);
    const TensorInfo& found = checkpoint->tensors()[*index];
    CHECK(to_string(found.dtype) == *tensor.find("dtype")->as_string());
    Shape shape;
    for (const json::Value& dimension : *tensor.find("shape")->as_array()) shape.push_back(*dimension.as_int());
    CHECK(found.shape == shape);
    CHECK(found.storage == 0);
    CHECK(found.file.empty());
    CHECK(test::sha256(checkpoint->read(*index).bytes()) == *tensor.find("sha256")->as_string());
  }
}

TEST_CASE("safetensors: metadata is kept in order, and the header's order is that of the tensors") {
  const auto checkpoint = open_checkpoint(test::data_dir() / "pt/dtypes.safetensors");
  CHECK(checkpoint->metadata() == Metadata{{"format", std::string("pt")}, {"note", std::string("größe")}});
  CHECK(*find_string(checkpoint->metadata(), "note") == "größe");
  CHECK(find_string(checkpoint->metadata(), "absent") == nullptr);
  CHECK(checkpoint->tensors()[0].name == "uint64");
  CHECK(checkpoint->files() == std::vector{test::data_dir() / "pt/dtypes.safetensors"});
  CHECK_FALSE(checkpoint->find("absent"));
}

TEST_CASE("safetensors: parts of a tensor are read where they lie, ranges outside it are refused") {
  const test::TempDir dir;
  const auto checkpoint =
      open_bytes(dir, safetensors_bytes(R"({"a":{"dtype":"I16","shape":[2,2],"data_offsets":[0,8]},)"
                                        R"("b":{"dtype":"F4","shape":[6],"data_offsets":[8,11]}})",
                                        "0123456789A"));
  std::string out(4, ' ');
  checkpoint->read(0, 1, 2, std::as_writable_bytes(std::span(out)));
  CHECK(out == "2345");
  out.resize(1);
  checkpoint->read(1, 4, 2, std::as_writable_bytes(std::span(out)));
  CHECK(out == "A");
  checkpoint->read(0, 4, 0, {});
  const auto refused = [&](std::size_t index, std::int64_t first, std::int64_t count, std::size_t bytes) {
    std::string buffer(bytes, ' ');
    return test::code_of([&] { checkpoint->read(index, first, count, std::as_writable_bytes(std::span(buffer))); }) ==
           ErrorCode::Usage;
  };
  CHECK(refused(0, 3, 2, 4));
  CHECK(refused(0, -1, 1, 2));
  CHECK(refused(0, 0, -1, 0));
  CHECK(refused(0, 0, 2, 3));
  CHECK(refused(0, 5, 0, 0));
  CHECK(refused(1, 1, 2, 1));
  CHECK(refused(2, 0, 0, 0));
  CHECK(test::code_of([&] { checkpoint->read(2); }) == ErrorCode::Usage);
}

TEST_CASE("safetensors: what the reference accepts is accepted") {
  const test::TempDir dir;
  CHECK(open_bytes(dir, safetensors_bytes("{}"))->tensors().empty());
  CHECK(open_bytes(dir, safetensors_bytes(" \n{} \t\r "))->tensors().empty());
  CHECK(open_bytes(dir, safetensors_bytes(R"({"__metadata__":{"a":"b"}})"))->metadata().size() == 1);
  CHECK(open_bytes(dir, safetensors_bytes(R"({"__metadata__":null})"))->metadata().empty());
  CHECK(open_bytes(dir, one_tensor(R"({"dtype":"F32","shape":[],"data_offsets":[0,4]})", 4))->tensors()[0].numel() ==
        1);
  CHECK(open_bytes(dir, one_tensor(R"({"dtype":"F32","shape":[0,3],"data_offsets":[0,0]})", 0))->tensors()[0].numel() ==
        0);
  CHECK(open_bytes(dir, one_tensor(R"(["U8",[3],[0,3]])", 3))->tensors()[0].shape == Shape{3});
  CHECK(open_bytes(
            dir, one_tensor(R"({"new":{"a":[1,{"b":null}]},"shape":[3],"dtype":"U8","data_offsets":[0,3],"z":1.5})", 3))
            ->tensors()[0]
            .dtype == DType::UInt8);
  CHECK(open_bytes(dir, safetensors_bytes(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "d"))
            ->tensors()[0]
            .name.empty());
  const auto odd = open_bytes(dir, safetensors_bytes(R"({"z":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},)"
                                                     R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                                     "dabcd"));
  CHECK(test::bytes_of_tensor(*odd, 0) == "abcd");
  CHECK(
      open_bytes(dir, one_tensor(R"({"dtype":"F6_E3M2","shape":[8],"data_offsets":[0,6]})", 6))->tensors()[0].numel() ==
      8);
}

TEST_CASE("safetensors: sizes that contradict the file are refused") {
  const test::TempDir dir;
  using namespace std::string_view_literals;
  CHECK(test::message_of([&] {
          open_bytes(dir, "\xff\xff\xff\xff\xff\xff\xff\xff{\"\":{}}"sv);
        }).find("header too large") != std::string::npos);
  CHECK(test::code_of([&] { open_bytes(dir, "\x01\xe1\xf5\x05\0\0\0\0{\""sv); }) == ErrorCode::Limit);
  const auto beyond = test::error_of([&] { open_bytes(dir, "\x0a\0\0\0\0\0\0\0{}"sv); });
  REQUIRE(beyond);
  CHECK(beyond->code() == ErrorCode::Corrupt);
  CHECK(beyond->details().offset == 0);
  CHECK(beyond->details().expected == "at most the 2 bytes left");
  CHECK(beyond->details().found == "10");
  for (const std::string_view bytes : {""sv, "\x02\0\0"sv, "\x02\0\0\0\0\0\0\0"sv, "\0\0\0\0\0\0\0\0"sv}) {
    CHECK(test::error_of([&] { open_bytes(dir, bytes); }));
  }
}

TEST_CASE("safetensors: an error about an entry names the tensor and where the header went wrong") {
  const test::TempDir dir;
  for (const char* entry : {
           R"({"dtype":"Q4","shape":[4],"data_offsets":[0,4]})",
           R"({"dtype":"U8","shape":[4.0],"data_offsets":[0,4]})",
           R"({"dtype":"U8","shape":[4],"data_offsets":[0]})",
           R"({"dtype":"U8","data_offsets":[0,4]})",
           R"(["U8",[4],[0,4],1])",
       }) {
    CAPTURE(entry);
    const auto error = test::error_of([&] { open_bytes(dir, one_tensor(entry, 4)); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().tensor == "x");
    CHECK(error->details().file == (dir / "t.safetensors").string());
    CHECK(error->details().offset.value_or(0) >= 8);
  }
}

TEST_CASE("safetensors: an error about data says where, what was expected and what was found") {
  const test::TempDir dir;
  const std::string bytes = one_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,7]})", 7);
  const auto error = test::error_of([&] { open_bytes(dir, bytes); });
  REQUIRE(error);
  CHECK(error->details().tensor == "x");
  CHECK(error->details().offset == bytes.size() - 7);
  CHECK(error->details().expected == "8 bytes");
  CHECK(error->details().found == "7");
}

TEST_CASE("safetensors: control characters and paths in names stay names") {
  const test::TempDir dir;
  const std::string json = R"({"../../etc/passwd":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                           R"("a\u0000\u001b[2J\n":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
  const auto checkpoint = open_bytes(dir, safetensors_bytes(json, "xy"));
  CHECK(checkpoint->find("../../etc/passwd") == 0U);
  CHECK(checkpoint->find(std::string_view("a\0\x1b[2J\n", 7)) == 1U);
  const std::string bad = R"({"\u001b[2J\n":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})";
  const std::string message = test::message_of([&] { open_bytes(dir, safetensors_bytes(bad, "x")); });
  CHECK(message.find("\\x1b[2J\\x0a") != std::string::npos);
  CHECK(message.find('\x1b') == std::string::npos);
}

TEST_CASE("safetensors: it holds no parts to choose from") {
  const auto path = test::data_dir() / "pt/dtypes.safetensors";
  CHECK(test::code_of([&] { open_checkpoint(path, {.root = "model"}); }) == ErrorCode::Usage);
  CHECK_NOTHROW(open_checkpoint(path, {.root = "."}));
}

TEST_CASE("safetensors: a hundred thousand tensors are opened, and found again") {
  const test::TempDir dir;
  constexpr int kTensors = 100'000;
  std::string json = "{";
  for (int i = 0; i < kTensors; ++i) {
    const std::string at = std::to_string(i), next = std::to_string(i + 1);
    json += (i == 0 ? "\"t" : ",\"t") + at + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + at + "," + next + "]}";
  }
  test::write_file(dir / "t", test::safetensors_bytes(json + "}", std::string(kTensors, 'x')));
  const auto checkpoint = open_checkpoint(dir / "t");
  CHECK(checkpoint->tensors().size() == kTensors);
  CHECK(checkpoint->find("t99999") == 99'999U);
}
