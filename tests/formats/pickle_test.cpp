#include "formats/pickle.hpp"
#include "formats/pickle_text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "formats/limits.hpp"
#include "formats/zip.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/pickle_builder.hpp"

using namespace mq;
using namespace mq::formats::pickle;
using namespace std::string_literals;
using test::PickleBuilder;

namespace {

// A pickle and the bytes it borrows.
struct Parsed {
  std::string bytes;
  Pickle pickle;

  explicit Parsed(std::string text) : bytes(std::move(text)), pickle(parse(std::as_bytes(std::span(bytes)), "p")) {}
  const Graph* operator->() const { return &pickle.graph; }
  NodeId root() const { return pickle.root; }
  NodeId item(std::size_t i) const { return pickle.graph.items(pickle.root)[i]; }
};

std::optional<Error> error_of(const std::string& bytes) {
  return test::error_of([&] { Parsed parsed(bytes); });
}

std::string long1(std::string_view bytes) {
  return "\x8a"s + static_cast<char>(bytes.size()) + std::string(bytes);
}

}  // namespace

TEST_CASE("pickle: numbers of all opcodes, big ones kept as digits") {
  const Parsed p("(K\xffM\xff\xffJ\xff\xff\xff\xff" + long1("") + long1("\xff") + long1("\x00\x80"s) +
                 long1("\xff\xff\xff\xff\xff\xff\xff\x7f") + long1("\x00\x00\x00\x00\x00\x00\x00\x00\x01"s) +
                 "\x8b\x02\x00\x00\x00\x34\x12"s + "I12\nI01\nI00\nI-99999999999999999999\nL-7L\nL8\nF-2.5\nFinf\n" +
                 "G\x3f\xf8\x00\x00\x00\x00\x00\x00\x88\x89Nt."s);
  const auto integer = [&](std::size_t i) { return p->integer(p.item(i)); };
  CHECK(integer(0) == 255);
  CHECK(integer(1) == 65535);
  CHECK(integer(2) == -1);
  CHECK(integer(3) == 0);
  CHECK(integer(4) == -1);
  CHECK(integer(5) == -32768);
  CHECK(integer(6) == std::numeric_limits<std::int64_t>::max());
  CHECK(p->kind(p.item(7)) == Kind::BigInt);
  CHECK(p->text(p.item(7)) == "18446744073709551616");
  CHECK(integer(8) == 0x1234);
  CHECK(integer(9) == 12);
  CHECK(p->kind(p.item(10)) == Kind::Bool);
  CHECK(p->boolean(p.item(10)));
  CHECK_FALSE(p->boolean(p.item(11)));
  CHECK(p->kind(p.item(12)) == Kind::BigInt);
  CHECK(p->text(p.item(12)) == "-99999999999999999999");
  CHECK(formats::pickle::decimal_digits("\x01\0\0\0\0\0\0\0\xff"s) == "-18446744073709551615");
  CHECK(formats::pickle::decimal_digits(std::string(65, '\1')).empty());
  CHECK(integer(13) == -7);
  CHECK(integer(14) == 8);
  CHECK(p->real(p.item(15)) == -2.5);
  CHECK(std::isinf(p->real(p.item(16))));
  CHECK(p->real(p.item(17)) == 1.5);
  CHECK(p->boolean(p.item(18)));
  CHECK(p->kind(p.item(20)) == Kind::None);
}

TEST_CASE("pickle: texts and bytes of all opcodes; Python 2 strings are Latin-1") {
  const Parsed p("(X\x02\x00\x00\x00hi\x8c\x02yo\x8d\x01\x00\x00\x00\x00\x00\x00\x00zV\\u00e9\xe9\\U0001F600\n"s +
                 "T\x01\x00\x00\x00\xe9U\x01qS'a\\'\\x41\\n\\101'\nB\x01\x00\x00\x00\xff"s + "C\x01\x00"s +
                 "\x8e\x01\x00\x00\x00\x00\x00\x00\x00x\x96\x01\x00\x00\x00\x00\x00\x00\x00yt."s);
  const auto text = [&](std::size_t i) { return std::string(p->text(p.item(i))); };
  CHECK(text(0) == "hi");
  CHECK(text(1) == "yo");
  CHECK(text(2) == "z");
  CHECK(text(3) == "éé😀");
  CHECK(text(4) == "é");
  CHECK(text(5) == "q");
  CHECK(text(6) == "a'A\nA");
  CHECK(p->kind(p.item(6)) == Kind::Str);
  for (std::size_t i = 7; i < 11; ++i) CHECK(p->kind(p.item(i)) == Kind::Bytes);
  CHECK(text(7) == "\xff");
  CHECK(text(8) == "\0"s);
}

TEST_CASE("pickle: containers of all opcodes, filled after they were memoized") {
  const Parsed p(
      "(]q\x00K\x01"
      "ah\x00(K\x02K\x03"
      "e(K\x04l}K\x05K\x06s(K\x07K\x08u(K\x01K\x02"
      "d)K\x01\x85K\x01K\x02\x86"
      "NNN\x87"
      "\x8f(K\x09\x90(K\x01\x91t."s);
  CHECK(p->items(p.item(0)).size() == 3);
  CHECK(p.item(0) == p.item(1));
  CHECK(p->kind(p.item(2)) == Kind::List);
  CHECK(p->items(p.item(3)).size() == 4);
  CHECK(p->kind(p.item(4)) == Kind::Dict);
  CHECK(p->items(p.item(5)).empty());
  CHECK(p->items(p.item(8)).size() == 3);
  CHECK(p->kind(p.item(9)) == Kind::Set);
  CHECK(p->items(p.item(10)).size() == 1);
}

TEST_CASE("pickle: calls become records with arguments, state, entries and items; nothing is looked up") {
  const Parsed p(
      "(cos\nsystem\nX\x01\x00\x00\x00x\x85Rq\x00}b(K\x01K\x02uK\x03"
      "ac__builtin__\nset\n)\x81"
      "\x8c\x01m\x8c\x01n\x93)}\x92(K\x01imod\nCls\n(cmod\nCls\nK\x01ot."s);
  const Object& first = p->object(p.item(0));
  CHECK(to_string(p->global(first.callable)) == "os.system");
  CHECK(first.called);
  CHECK(p->text(p->items(first.args)[0]) == "x");
  CHECK(p->kind(first.state) == Kind::Dict);
  CHECK(first.entries.size() == 2);
  CHECK(first.items.size() == 1);
  const Object& second = p->object(p.item(1));
  CHECK(to_string(p->global(second.callable)) == "builtins.set");
  CHECK_FALSE(second.called);
  const Object& third = p->object(p.item(2));
  CHECK(to_string(p->global(third.callable)) == "m.n");
  CHECK(third.kwargs != kNoNode);
  for (const std::size_t i : {3, 4}) {
    CHECK(to_string(p->global(p->object(p.item(i)).callable)) == "mod.Cls");
    CHECK(p->items(p->object(p.item(i)).args).size() == 1);
  }
  CHECK(p->objects().size() == 5);
  CHECK(p->objects()[0].offset == 19);
}

TEST_CASE("pickle: the memo takes dense, sparse, text and implied indices") {
  const Parsed p("(K\x01q\x00K\x02\x94K\x03r\x00\x00\x01\x00K\x04p9\n0K\x05q\x00h\x00h\x01j\x00\x00\x01\x00g9\nt."s);
  const auto items = p->items(p.root());
  REQUIRE(items.size() == 8);
  CHECK(p->integer(items[4]) == 5);
  CHECK(p->integer(items[5]) == 2);
  CHECK(p->integer(items[6]) == 3);
  CHECK(p->integer(items[7]) == 4);
}

TEST_CASE("pickle: a container may hold itself, and a persistent id refers to something else") {
  const Parsed p(
      "]q\x00h\x00"
      "aPabc\n"
      "aK\x01Qa."s);
  CHECK(p.item(0) == p.root());
  CHECK(p->kind(p.item(1)) == Kind::PersistentId);
  CHECK(p->text(p->persistent_id(p.item(1))) == "abc");
  CHECK(p->integer(p->persistent_id(p.item(2))) == 1);
}

TEST_CASE("pickle: only the first pickle of several is read") {
  const Parsed p("K\x01.K\x02."s);
  CHECK(p.pickle.size_bytes == 3);
}

TEST_CASE("pickle: malformed programs are refused with the offset of the opcode") {
  struct Case {
    std::string bytes;
    std::uint64_t offset;
  };
  for (const Case& c : std::vector<Case>{
           {"", 0},             // no STOP
           {"K\x01", 2},        // no STOP
           {".", 0},            // nothing on the stack
           {"K\x01K\x02.", 4},  // too much on it
           {"(K\x01.", 3},      // a mark on it
           {"\x01.", 0},        // no opcode
           {"K", 0},            // cut operand
           {"X\xff\xff\xff\xff"
            "a.",
            0},  // length beyond the end
           {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 0},
           {"T\xff\xff\xff\xff"
            "a.",
            0},  // negative length
           {"\x8b\xff\xff\xff\xff.", 0},
           {"\x95\x09\x00\x00\x00\x00\x00\x00\x00N."s, 0},  // frame beyond the end
           {"cos\nsystem", 0},                              // unended line
           {"0", 0},                                        // nothing to drop
           {"K\x01(a.", 3},                                 // the list lies below the mark
           {"K\x01K\x01"
            "a.",
            4},  // append to a number
           {"}K\x01"
            "a.",
            3},                   // append to a dict
           {"]K\x01K\x02s.", 5},  // item of a list
           {"}(K\x01u.", 4},      // key without value
           {"(K\x01"
            "d.",
            3},
           {"t.", 0},       // no mark
           {"h\x00."s, 0},  // never memoized
           {"g-1\n.", 0},
           {"gx\n.", 0},
           {"cm\nn\nK\x01R.", 7},   // arguments that are no tuple
           {"K\x01K\x01\x93.", 4},  // a global of numbers
           {"K\x01}b.", 3},         // state of a number
           {"cm\nn\n}b.", 6},       // state of a class
           {"cm\nn\n)R}b}b.", 10},  // a second state
           {"I1x\n.", 0},
           {"L\n.", 0},
           {"F1.0.0\n.", 0},
           {"S'abc\n.", 0},
           {"S'\\q'\n.", 0},
           {"V\\u12\n.", 0},
           {"(o.", 1},
       }) {
    CAPTURE(c.bytes);
    const auto error = error_of(c.bytes);
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().offset == c.offset);
    CHECK(error->details().file == "p");
  }
}

TEST_CASE("pickle: what is not supported is said to be so") {
  for (const std::string& bytes : {"\x80\x06N."s, "\x82\x01."s, "\x97."s, "NN\x85R."s}) {
    const auto error = error_of(bytes);
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == ErrorCode::Unsupported);
  }
}

TEST_CASE("pickle: floods of marks, of memo entries and of nested lists end without harm") {
  const std::size_t million = 1'000'000;
  CHECK(error_of(std::string(million, '('))->code() == ErrorCode::Corrupt);
  CHECK(error_of("N" + std::string(million, '2'))->code() == ErrorCode::Corrupt);
  CHECK(error_of("N" + std::string(million, '\x94') + ".") == std::nullopt);
  CHECK(error_of("N" + std::string(million, ')') + ".")->code() == ErrorCode::Corrupt);
  std::string nested(million, ']');
  nested += std::string(million - 1, 'a') + ".";
  CHECK(error_of(nested) == std::nullopt);
  PickleBuilder sparse;
  sparse.none();
  for (std::uint32_t i = 0; i < formats::kMaxSparseMemo + 2; ++i) sparse.put(10 + 2 * i);
  CHECK(error_of(std::move(sparse).stop())->code() == ErrorCode::Limit);
}
