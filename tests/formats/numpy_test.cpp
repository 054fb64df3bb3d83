// Arrays of NumPy, by themselves and in archives.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "formats/inflate.hpp"
#include "mq/checkpoint.hpp"
#include "src/json.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/deflate_builder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sha256.hpp"
#include "tests/support/zip_builder.hpp"

using namespace mq;
using test::TempDir;
using test::ZipBuilder;

namespace {

std::filesystem::path fixture(std::string_view name) {
  return test::data_dir() / "numpy" / name;
}

// An array with this header text, version and data.
std::string npy(std::string_view literal, std::string_view data, char major = 1) {
  test::PickleBuilder out;
  out.raw("\x93NUMPY").raw(std::string{major, '\0'});
  if (major == 1) {
    out.number(static_cast<std::uint16_t>(literal.size()));
  } else {
    out.number(static_cast<std::uint32_t>(literal.size()));
  }
  return out.raw(literal).raw(data).bytes();
}

std::string header(std::string_view descr, std::string_view shape, std::string_view order = "False") {
  return "{'descr': '" + std::string(descr) + "', 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }\n";
}

std::unique_ptr<Checkpoint> open_bytes(const TempDir& dir, std::string_view bytes, const OpenOptions& options = {}) {
  return open_checkpoint(test::write_file(dir / "a.bin", bytes), options);
}

std::optional<Error> error_of(std::string_view bytes, const OpenOptions& options = {}) {
  const TempDir dir;
  return test::error_of([&] { open_bytes(dir, bytes, options); });
}

}  // namespace

TEST_CASE("numpy: every array of a file by NumPy has the name, dtype, shape and bytes of its oracle, in order") {
  const json::Value oracle = json::parse(test::read_file(fixture("oracle.json")), "oracle.json");
  std::size_t files = 0;
  for (const json::Value& file : *oracle.find("files")->as_array()) {
    const std::string name = *file.find("file")->as_string();
    CAPTURE(name);
    if (name == "compressed.npz" && !formats::can_inflate()) continue;
    ++files;
    const auto checkpoint = open_checkpoint(fixture(name));
    CHECK(checkpoint->format() == (name.ends_with(".npz") ? "npz" : "npy"));
    CHECK(checkpoint->left_out().empty());
    const json::Array& expected = *file.find("tensors")->as_array();
    REQUIRE(checkpoint->tensors().size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const TensorInfo& tensor = checkpoint->tensors()[i];
      CAPTURE(tensor.name);
      Shape shape;
      for (const json::Value& size : *expected[i].find("shape")->as_array()) shape.push_back(*size.as_int());
      CHECK(tensor.name == *expected[i].find("path")->as_array()->front().as_string());
      CHECK(to_string(tensor.dtype) == *expected[i].find("dtype")->as_string());
      CHECK(tensor.shape == shape);
      CHECK(test::sha256(checkpoint->read(i).bytes()) == *expected[i].find("sha256")->as_string());
    }
  }
  CHECK(files >= 10);
}

TEST_CASE("numpy: any range of a column-major, byte-swapped or deflated array is that of the whole") {
  for (const char* name : {"fortran_order.npy", "big_endian_complex_fortran.npy", "compressed.npz"}) {
    if (name == std::string("compressed.npz") && !formats::can_inflate()) continue;
    CAPTURE(name);
    const auto checkpoint = open_checkpoint(fixture(name));
    for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) {
      const TensorInfo& tensor = checkpoint->tensors()[i];
      CAPTURE(tensor.name);
      const Tensor whole = checkpoint->read(i);
      const auto item = static_cast<std::int64_t>(info(tensor.dtype).block_bytes);
      std::vector<std::byte> part;
      for (std::int64_t first = 0; first < tensor.numel(); first += 1 + tensor.numel() / 9) {
        for (const std::int64_t count : {std::int64_t{1}, (tensor.numel() - first) / 2, tensor.numel() - first}) {
          part.assign(static_cast<std::size_t>(count * item), std::byte{0xee});
          checkpoint->read(i, first, count, part);
          const auto expected = whole.bytes().subspan(static_cast<std::size_t>(first * item), part.size());
          REQUIRE(std::ranges::equal(part, expected));
        }
      }
    }
  }
}

TEST_CASE("numpy: dtypes that are no numbers are refused by name") {
  struct Case {
    const char* file;
    const char* says;
  };
  for (const Case& c :
       {Case{"structured.npy", "a structured dtype is not read"},
        Case{"subarray.npy", "a structured dtype is not read"},
        Case{"objects.npy", "Python objects, which are a pickle"}, Case{"bytes.npy", "byte strings"},
        Case{"strings.npy", "an array of strings is not read"}, Case{"void2.npy", "how some libraries write bfloat16"},
        Case{"dates.npy", "dates"}, Case{"long_double.npy", "long double"}}) {
    CAPTURE(c.file);
    const auto error = test::error_of([&] { open_checkpoint(fixture(c.file)); });
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == ErrorCode::Unsupported);
    CHECK(std::string(error->what()).find(c.says) != std::string::npos);
    CHECK(error->details().file.ends_with(c.file));
  }
  for (const char* descr : {"<f16", "<c32", "<f12", "|i4", "<<f4", "", "<", "float32", "<i3", "<b1x"}) {
    CAPTURE(descr);
    const auto error = error_of(npy(header(descr, "(1,)"), std::string(16, '\0')));
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Unsupported);
    CHECK((error->details().found == descr || std::string(descr).empty()));
  }
}

TEST_CASE("numpy: headers as different writers write them are read") {
  const TempDir dir;
  const std::string data(24, '\1');
  for (const std::string& text :
       {header("<f4", "(2, 3)"), header("<f4", "(2L, 3L)"), header("<f4", "(2,3,)"), header("=f4", "( 2 , 3 )"),
        header("f4", "(2, 3)"), std::string("{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}"),
        std::string("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n"),
        std::string(" { 'shape' : (2, 3) , 'fortran_order' : True , 'descr' : '<f4' } ")}) {
    CAPTURE(text);
    for (const char major : {'\1', '\2', '\3'}) {
      const auto checkpoint = open_bytes(dir, npy(text, data, major));
      CHECK(checkpoint->tensors()[0] == TensorInfo{.name = "array", .dtype = DType::Float32, .shape = {2, 3}});
      CHECK(test::bytes_of_tensor(*checkpoint, 0) == data);
    }
  }
}

TEST_CASE("numpy: a header that NumPy does not write is refused where it goes wrong") {
  CHECK_FALSE(error_of(npy(header("|u1", "(3,)"), "abc")));
  for (const std::string& text :
       std::vector<std::string>{"",
                                "{",
                                "{}",
                                "{'descr': '<f4'}",
                                "[1]",
                                header("|u1", "3"),
                                header("|u1", "(3)"),
                                header("|u1", "(3 3)"),
                                header("|u1", "(3,,)"),
                                header("|u1", "(,)"),
                                header("|u1", "(-3,)"),
                                header("|u1", "(3.0,)"),
                                header("|u1", "(3,"),
                                header("|u1", "((3,),)"),
                                header("|u1", "(9223372036854775808,)"),
                                header("|u1", "(3LL,)"),
                                header("|u1", "(3,)", "false"),
                                header("|u1", "(3,)", "0"),
                                header("|u1", "(3,)") + "x",
                                "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (3,)}",
                                "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'more': 1}",
                                "{'descr' '|u1', 'fortran_order': False, 'shape': (3,)}",
                                "{'descr': '|u1' 'fortran_order': False}",
                                "{'descr': None, 'fortran_order': False, 'shape': (3,)}",
                                "{'descr': '\\x7cu1', 'fortran_order': False}",
                                "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)",
                                "{'descr': '|u1",
                                "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}}",
                                std::string("{\0}", 3)}) {
    CAPTURE(text);
    const auto error = error_of(npy(text, "abc"));
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().offset.value_or(0) >= 10);
    CHECK_FALSE(error->details().expected.empty());
  }
}

TEST_CASE("numpy: sizes that do not fit the file are refused with both numbers") {
  const auto too_many = error_of(npy(header("|u1", "(3,)"), "abcd"));
  REQUIRE(too_many);
  CHECK(too_many->code() == ErrorCode::Corrupt);
  CHECK(std::string(too_many->what()).find("bytes after the elements: expected 3 bytes for uint8 [3], found 4") !=
        std::string::npos);
  const auto too_few = error_of(npy(header("<f8", "(2, 3)"), "abcd"));
  REQUIRE(too_few);
  CHECK(std::string(too_few->what()).find("the elements are cut off: expected 48 bytes") != std::string::npos);
  CHECK_FALSE(error_of(npy(header("<f8", "(0, 9223372036854775)"), "")));
  for (const char* shape : {"(9223372036854775807,)", "(4294967296, 4294967296)", "(4294967296, 4294967296, 0)"}) {
    CAPTURE(shape);
    CHECK(error_of(npy(header("<f8", shape), ""))->code() == ErrorCode::Limit);
  }
}

TEST_CASE("numpy: versions, header lengths and dimensions beyond what is known or allowed are refused") {
  CHECK(error_of(npy(header("|u1", "(3,)"), "abc", 4))->code() == ErrorCode::Unsupported);
  CHECK(error_of(npy(header("|u1", "(3,)"), "abc", 0))->code() == ErrorCode::Unsupported);
  std::string minor = npy(header("|u1", "(3,)"), "abc");
  minor[7] = 1;
  CHECK(error_of(minor)->details().found == "1.1");
  std::string longer = npy(header("|u1", "(3,)"), "abc", 2);
  longer[11] = 0x7f;  // of the header's length
  CHECK(error_of(longer)->code() == ErrorCode::Limit);
  longer[11] = 0;
  longer[9] = 0x7f;
  CHECK(error_of(longer)->code() == ErrorCode::Corrupt);
  const Limits limits{.header_bytes = 20};
  CHECK(error_of(npy(header("|u1", "(3,)"), "abc"), {.limits = limits})->code() == ErrorCode::Limit);
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1,";
  const auto rank = error_of(npy(header("|u1", many + ")"), "a"));
  REQUIRE(rank);
  CHECK(rank->code() == ErrorCode::Limit);
  CHECK(rank->details().hint.find("--max-rank") != std::string::npos);
  CHECK(error_of(npy("", "a"), {.root = "x"})->code() == ErrorCode::Usage);
}

TEST_CASE("numpy: a file cut at any length, or with any byte changed, is an error or an array, never a crash") {
  const TempDir dir;
  const std::string whole = npy(header("<f8", "(3, 2)", "True"), test::float_bytes(12));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(error_of(std::string_view(whole).substr(0, length)));
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char other : {'\0', '\x7f', '\xff', '9', '(', '\''}) {
      std::string changed = whole;
      changed[at] = other;
      test::error_of([&] { test::read_checkpoint(*open_bytes(dir, changed)); });
    }
  }
}

TEST_CASE("npz: records lose .npy, what is no array is left out by name, and a name must be the only one") {
  const TempDir dir;
  const std::string one = npy(header("|u1", "(3,)"), "abc");
  const auto open_zip = [&](const ZipBuilder& zip) {
    ZipBuilder copy = zip;
    return open_bytes(dir, copy.finish());
  };
  const auto checkpoint = open_zip(ZipBuilder()
                                       .add("a.npy", one, {.zip64 = true})
                                       .add("folder/b.npy.npy", one)
                                       .add("no suffix", one)
                                       .add("notes.txt", "text"));
  REQUIRE(checkpoint->tensors().size() == 3);
  CHECK(checkpoint->tensors()[0].name == "a");
  CHECK(checkpoint->tensors()[1].name == "folder/b.npy");
  CHECK(checkpoint->tensors()[2].name == "no suffix");
  REQUIRE(checkpoint->left_out().size() == 1);
  CHECK(checkpoint->left_out()[0].what == "notes.txt (not an array)");

  const auto refused = [&](const ZipBuilder& zip) {
    const auto error = test::error_of([&] { open_zip(zip); });
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == ErrorCode::Corrupt);
    return std::string(error->what());
  };
  CHECK(refused(ZipBuilder().add("a.npy", one).add("a", one)).find("a and a.npy") != std::string::npos);
  CHECK(refused(ZipBuilder().add(".npy", one)).find("without a name") != std::string::npos);
  CHECK(refused(ZipBuilder().add("a.npy", "text, no array")).find("a.bin: a.npy: not an array") != std::string::npos);
  CHECK(refused(ZipBuilder().add("a.npy", one + "x")).find("a.bin: a.npy @") != std::string::npos);
}

TEST_CASE("npz: a column-major array that is deflated and larger than what is gathered at once is read in any order") {
  if (!formats::can_inflate()) return;
  const TempDir dir;
  // Element [i, j] holds i + 7 j, modulo 256.
  constexpr std::size_t kRows = 6'000, kColumns = 7'000;
  std::string data(kRows * kColumns, '\0');
  for (std::size_t j = 0; j < kColumns; ++j) {
    for (std::size_t i = 0; i < kRows; ++i) data[j * kRows + i] = static_cast<char>(i + 7 * j);
  }
  const std::string content = npy(header("|u1", "(6000, 7000)", "True"), data);
  const auto checkpoint =
      open_bytes(dir, ZipBuilder().add("a.npy", content, {.method = 8, .stored = test::deflated(content)}).finish());
  std::vector<std::byte> part(30'000);
  bool right = true;
  for (const std::size_t first : {0u, 41'970'000u, 33'540'000u, 33'554'000u, 10'000'000u, 100u}) {
    checkpoint->read(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(part.size()), part);
    for (std::size_t k = 0; k < part.size(); ++k) {
      const std::size_t i = (first + k) / kColumns, j = (first + k) % kColumns;
      right = right && part[k] == static_cast<std::byte>(i + 7 * j);
    }
  }
  CHECK(right);
}

TEST_CASE("npz: checksums are verified when an array is read, stored or deflated, in any order of its dimensions") {
  const TempDir dir;
  for (const bool deflate : {false, true}) {
    if (deflate && !formats::can_inflate()) continue;
    for (const char* order : {"False", "True"}) {
      const std::string content = npy(header("|u1", "(30, 20)", order), std::string(600, 'x'));
      test::ZipTweaks tweaks{.crc = 77};
      if (deflate) tweaks = {.method = 8, .stored = test::deflated(content), .crc = 77};
      const auto checkpoint = open_bytes(dir, ZipBuilder().add("a.npy", content, tweaks).finish());
      const auto error = test::error_of([&] { checkpoint->read(0); });
      REQUIRE(error);
      CHECK(std::string(error->what()).find("checksum of the record") != std::string::npos);
    }
  }
}
