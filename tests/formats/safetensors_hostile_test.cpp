#include <doctest/doctest.h>

#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"

using namespace mq;

namespace {

// A valid file of the smallest kind, and one that uses most of the format.
std::vector<std::string> base_files() {
  return {
      test::safetensors_bytes(R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "abc"),
      test::safetensors_bytes(
          R"({"__metadata__":{"format":"pt","k\u00fc":"v"},"a.b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8],)"
          R"("x":[{"y":1e3}]},"e":{"dtype":"I64","shape":[0],"data_offsets":[8,8]},"s":["F4",[6],[8,11]]}  )",
          "01234567abc")};
}

// Opens and reads everything. Any mq::Error is fine, anything else fails the test by passing through.
bool opens(const std::filesystem::path& path, std::string_view bytes) {
  test::write_file(path, bytes);
  return !test::error_of([&] {
    const auto checkpoint = open_checkpoint(path);
    for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) checkpoint->read(i);
  });
}

}  // namespace

TEST_CASE("safetensors: a file cut at any length is an error") {
  const test::TempDir dir;
  std::vector<std::string> files = base_files();
  files.push_back(test::read_file(test::data_dir() / "pt/dtypes.safetensors"));
  for (const std::string& file : files) {
    REQUIRE(opens(dir / "t", file));
    for (std::size_t length = 0; length < file.size(); ++length) {
      CAPTURE(length);
      CHECK_FALSE(opens(dir / "t", std::string_view(file).substr(0, length)));
    }
    CHECK_FALSE(opens(dir / "t", file + '\0'));
  }
}

TEST_CASE("safetensors: a file with any one bit flipped is an error or another valid file, never a crash") {
  const test::TempDir dir;
  for (const std::string& file : base_files()) {
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
      std::string damaged = file;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      opens(dir / "t", damaged);
    }
  }
}

TEST_CASE("safetensors: a file with any byte deleted or replaced is an error or another valid file") {
  const test::TempDir dir;
  for (const std::string& file : base_files()) {
    for (std::size_t i = 0; i < file.size(); ++i) {
      std::string shorter = file;
      shorter.erase(i, 1);
      CHECK_FALSE(opens(dir / "t", shorter));
      for (const char replacement : {'\x00', '\x7f', '\x80', '\xff', '"', '{', '9'}) {
        std::string damaged = file;
        damaged[i] = replacement;
        opens(dir / "t", damaged);
      }
    }
  }
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
