#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "mq/error.hpp"
#include "src/json.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::json::parse;
using mq::test::error_of;

namespace {

std::string nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

// What reaches a receiver, one letter per call.
struct Recorder final : json::Events {
  std::string calls;
  int stop_after = -1;
  bool record(char letter) {
    calls += letter;
    return static_cast<int>(calls.size()) != stop_after;
  }
  bool null() override { return record('n'); }
  bool boolean(bool) override { return record('b'); }
  bool integer(std::int64_t) override { return record('i'); }
  bool unsigned_integer(std::uint64_t) override { return record('u'); }
  bool number(double) override { return record('d'); }
  bool string(std::string&) override { return record('s'); }
  bool start_object() override { return record('{'); }
  bool key(std::string&) override { return record('k'); }
  bool end_object() override { return record('}'); }
  bool start_array() override { return record('['); }
  bool end_array() override { return record(']'); }
};

}  // namespace

TEST_CASE("json: members keep the order of the text") {
  const json::Value value = parse(R"({"b": 1, "a": [true, null, "x"], "c": {"d": -2.5}})", "t");
  const json::Object& object = *value.as_object();
  REQUIRE(object.size() == 3);
  CHECK(object[0].first == "b");
  CHECK(*object[0].second.as_int() == 1);
  CHECK(object[1].second.as_array()->size() == 3);
  CHECK(object[1].second.as_array()->at(1).is_null());
  CHECK(*value.find("c")->find("d")->as_double() == -2.5);
  CHECK(value.find("e") == nullptr);
  CHECK(value.find("b")->find("x") == nullptr);
}

TEST_CASE("json: whole numbers below 2^63 are integers, all others are doubles") {
  CHECK(*parse("9223372036854775807", "t").as_int() == std::numeric_limits<std::int64_t>::max());
  CHECK(*parse("-9223372036854775808", "t").as_int() == std::numeric_limits<std::int64_t>::min());
  CHECK(*parse("9223372036854775808", "t").as_double() == 9223372036854775808.0);
  CHECK(*parse("18446744073709551616", "t").as_double() == 18446744073709551616.0);
  CHECK(*parse("1.0", "t").as_double() == 1.0);
  CHECK(*parse("1e0", "t").as_double() == 1.0);
  CHECK(parse("-0", "t").as_int() == nullptr);
  CHECK(*parse("-0", "t").as_double() == 0.0);
  CHECK(*parse("0", "t").as_int() == 0);
}

TEST_CASE("json: numbers that no double holds, or with signs and zeros out of place, are refused") {
  for (const char* text : {"1e999", "-1e999", "01", "+1", "1.", ".5", "-", "0x10", "NaN", "Infinity"}) {
    CAPTURE(text);
    CHECK(test::code_of([&] { parse(text, "t"); }) == ErrorCode::Corrupt);
  }
}

TEST_CASE("json: events tell integers, unsigned integers and other numbers apart") {
  Recorder recorder;
  json::parse_events(
      "[1, -1, 9223372036854775807, 9223372036854775808, 18446744073709551615, "
      "18446744073709551616, 1.0, 1e0, -0]",
      "t", recorder);
  CHECK(recorder.calls == "[iiiuudddd]");
}

TEST_CASE("json: a receiver that returns false stops the parse without an error") {
  Recorder recorder;
  recorder.stop_after = 3;
  json::parse_events("[1, 2, 3, 4", "t", recorder);
  CHECK(recorder.calls == "[ii");
}

TEST_CASE("json: what a receiver throws comes through, and it knows the offset") {
  struct Thrower final : json::Events {
    bool null() override { throw Error({.message = "stop", .offset = offset}); }
    bool boolean(bool) override { return true; }
    bool integer(std::int64_t) override { return true; }
    bool unsigned_integer(std::uint64_t) override { return true; }
    bool number(double) override { return true; }
    bool string(std::string&) override { return true; }
    bool start_object() override { return true; }
    bool key(std::string&) override { return true; }
    bool end_object() override { return true; }
    bool start_array() override { return true; }
    bool end_array() override { return true; }
  };
  Thrower thrower;
  thrower.offset = 100;
  const auto error = error_of([&] { json::parse_events("[1, null]", "t", thrower); });
  REQUIRE(error);
  CHECK(error->details().offset == 108);
}

TEST_CASE("json: a key twice in one object is refused, also when only its escapes differ") {
  for (const char* text : {R"({"a": 1, "a": 1})", R"({"a": 1, "\u0061": 2})", R"([{"x": {"b": 1, "c": 2, "b": 3}}])"}) {
    CAPTURE(text);
    const auto error = error_of([&] { parse(text, "config.json"); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().file == "config.json");
    CHECK(error->details().message.find("twice") != std::string::npos);
  }
  CHECK_NOTHROW(parse(R"({"a": {"a": 1}, "b": {"a": 1}})", "t"));
}

TEST_CASE("json: 128 levels of nesting are read, 129 and a hundred thousand are refused") {
  CHECK_NOTHROW(parse(nested(128), "t"));
  CHECK(test::code_of([] { parse(nested(129), "t"); }) == ErrorCode::Corrupt);
  CHECK(test::code_of([] { parse(std::string(100'000, '['), "t"); }) == ErrorCode::Corrupt);
}

TEST_CASE("json: text that is not UTF-8, byte order marks, NUL bytes and stray bytes are refused") {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"\"\xff\""sv, "\"\xc0\x80\""sv, "\"\xed\xa0\x80\""sv, "\"\\ud800\""sv,
                                      "\xef\xbb\xbf{}"sv, "{}\0"sv, "{} x"sv, "{}{}"sv, ""sv, " "sv, "{"sv, "\"a"sv,
                                      "{\"a\"}"sv, "[1,]"sv, "{\"a\":1,}"sv, "// c\n1"sv, "\"\n\""sv, "tru"sv}) {
    CAPTURE(text);
    CHECK(test::code_of([&] { parse(text, "t"); }) == ErrorCode::Corrupt);
  }
}

TEST_CASE("json: an error names the source, the offset and the reason") {
  const auto error = error_of([] { parse("{\"a\": nope}", "config.json"); });
  REQUIRE(error);
  CHECK(error->details().file == "config.json");
  CHECK(*error->details().offset >= 6);
  CHECK(*error->details().offset <= 8);
  CHECK(std::string(error->what()).find("invalid literal") != std::string::npos);
}

TEST_CASE("json: printing and parsing again gives an equal value") {
  const std::string text =
      R"({"empty":{},"none":[],"n":null,"b":[true,false],"i":[0,-1,9223372036854775807,-9223372036854775808],)"
      R"("d":[0.1,1.0,-0.0,1e+300,5e-324,1.7976931348623157e+308,0.30000000000000004],"s":"q\" b\\ n\n t\t c\u0001 ü €"})";
  const json::Value value = parse(text, "t");
  CHECK(parse(json::dump(value), "t") == value);
  CHECK(parse(json::dump(value, -1), "t") == value);
  CHECK(json::dump(value, -1) == text);
  CHECK(json::dump(value).find("\n  \"empty\": {},\n") != std::string::npos);
}

TEST_CASE("json: printed text is always JSON: non-finite numbers are strings, stray bytes become U+FFFD") {
  const double infinity = std::numeric_limits<double>::infinity();
  const json::Value value(json::Array{infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), "a\xff\x80z"});
  CHECK(json::dump(value, -1) == "[\"Infinity\",\"-Infinity\",\"NaN\",\"a\uFFFD\uFFFDz\"]");
}

TEST_CASE("json: set replaces a member in its place and appends a new one") {
  json::Value value;
  value.set("a", 1);
  value.set("b", "x");
  value.set("a", 2.5);
  CHECK(json::dump(value, -1) == R"({"a":2.5,"b":"x"})");
}
