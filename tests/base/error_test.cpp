#include <doctest/doctest.h>

#include <string>

#include "mq/error.hpp"

using namespace mq;

TEST_CASE("error: the text says where, what, what was expected and found, and what to do") {
  const Error error({.code = ErrorCode::Corrupt,
                     .message = "bad thing",
                     .file = "model.pt: data.pkl",
                     .tensor = "w",
                     .offset = 412,
                     .expected = "X",
                     .found = "Y",
                     .hint = "try Z"});
  CHECK(std::string(error.what()) == "model.pt: data.pkl @412: tensor w: bad thing: expected X, found Y (try Z)");
  CHECK(error.code() == ErrorCode::Corrupt);
}

TEST_CASE("error: absent parts leave no traces in the text") {
  CHECK(std::string(Error(ErrorCode::Usage, "no such option").what()) == "no such option");
  CHECK(std::string(Error({.message = "m", .tensor = "w"}).what()) == "tensor w: m");
  CHECK(std::string(Error({.message = "m", .file = "f", .found = "Y"}).what()) == "f: m: found Y");
  CHECK(std::string(Error({.message = "m", .offset = 0, .expected = "X"}).what()) == "@0: m: expected X");
}

TEST_CASE("error: names cannot steer the terminal, break the line or flood it") {
  CHECK(printable("plain ü € 𝄞") == "plain ü € 𝄞");
  CHECK(printable("a\x1b[31mb\nc\x7f") == "a\\x1b[31mb\\x0ac\\x7f");
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable("\xc0\xaf\xed\xa0\x80") == "\\xc0\\xaf\\xed\\xa0\\x80");
  CHECK(printable("\u009b31m") == "\\xc2\\x9b31m");
  CHECK(printable("a\u202eb\u2066c") == "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c");
  CHECK(printable(std::string(300, 'x')) == std::string(200, 'x') + "...");
  CHECK(printable("üüü", 4) == "üü...");
  const Error error({.message = "m\n", .file = "f\r", .tensor = std::string(100'000, '\x01')});
  const std::string text = error.what();
  CHECK(text.size() < 1000);
  CHECK(text.find_first_of("\n\r\x01") == std::string::npos);
}

TEST_CASE("error: every code has its exit code and its name") {
  CHECK(exit_code(ErrorCode::Internal) == 1);
  CHECK(exit_code(ErrorCode::Usage) == 2);
  CHECK(exit_code(ErrorCode::Numeric) == 3);
  CHECK(exit_code(ErrorCode::Mismatch) == 4);
  CHECK(exit_code(ErrorCode::Dangerous) == 4);
  CHECK(exit_code(ErrorCode::Io) == 5);
  CHECK(exit_code(ErrorCode::Corrupt) == 6);
  CHECK(exit_code(ErrorCode::Unsupported) == 6);
  CHECK(exit_code(ErrorCode::Limit) == 6);
  CHECK(exit_code(ErrorCode::Cancelled) == 130);
  CHECK(std::string(to_string(ErrorCode::Corrupt)) == "corrupt");
}
