#include <doctest/doctest.h>

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "mq/checkpoint.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using namespace std::string_view_literals;

TEST_CASE("open_checkpoint: a file that no format takes is called by its name") {
  struct Case {
    std::string_view bytes;
    std::string_view says;
    ErrorCode code = ErrorCode::Unsupported;
  };
  const test::TempDir dir;
  for (const Case& file : {
           Case{"", "an empty file", ErrorCode::Corrupt},
           Case{"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"},
           Case{"\n <!DOCTYPE html><html>", "an HTML page"},
           Case{"<HTML>", "an HTML page"},
           Case{"\x89HDF\r\n\x1a\n\0\0"sv, "an HDF5 file"},
           Case{"lmgg\x01\0\0\0"sv, "a GGML model of an outdated format"},
           Case{"\x08\x07\x12\x07pytorch\x1a\x05", "an ONNX model"},
           Case{"\x1c\0\0\0TFL3\0\0"sv, "a TensorFlow Lite model"},
           Case{"\x1f\x8b\x08\0\0\0"sv, "a gzip archive"},
           Case{"# Read me\n", "a text file"},
           Case{"{\"data\":{\"x\": 1}}", "a JSON text"},
           Case{"\0\0\0\0\0\0\0\0\0\0\0\0"sv, "zero bytes"},
           Case{"\xc3\x28\x01\x02\xfe\xff\x9d\x11\x7b"sv, "9 bytes of unknown meaning", ErrorCode::Corrupt},
       }) {
    CAPTURE(file.says);
    test::write_file(dir / "model.safetensors", file.bytes);
    const auto error = test::error_of([&] { open_checkpoint(dir / "model.safetensors"); });
    REQUIRE(error);
    CHECK(error->code() == file.code);
    CHECK(std::string(error->what()).find(file.says) != std::string::npos);
    CHECK(error->details().file == (dir / "model.safetensors").string());
  }
}

TEST_CASE("open_checkpoint: nothing at the path, a pipe or a device is an error that says so") {
  const test::TempDir dir;
  CHECK(test::code_of([&] { open_checkpoint(dir / "absent"); }) == ErrorCode::Io);
  CHECK(test::code_of([] { open_checkpoint(""); }) == ErrorCode::Io);
  CHECK(test::code_of([] { open_checkpoint("/dev/zero"); }) == ErrorCode::Unsupported);
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0666) == 0);
  CHECK(test::message_of([&] { open_checkpoint(dir / "pipe"); }).find("a pipe") != std::string::npos);
}
