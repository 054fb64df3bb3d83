#include "formats/npy_literal.hpp"

#include <charconv>
#include <utility>

#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

constexpr std::size_t kShown = 40;  // bytes of the text in errors

// Values hold at most a tuple of numbers, so nothing here calls itself.
class LiteralParser {
 public:
  LiteralParser(std::string_view text, const std::string& source, std::uint64_t first_offset, const Limits& limits)
      : text_(text), source_(source), first_offset_(first_offset), limits_(limits) {}

  NpyLiteral parse() {
    expect('{', "a dictionary");
    while (!accept('}')) {
      parse_member();
      if (accept(',')) continue;
      expect('}', "a comma or the end of the dictionary");
      break;
    }
    skip_blanks();
    if (at_ != text_.size()) fail("nothing after the dictionary");
    for (const auto& [seen, key] : {std::pair(has_descr_, "'descr'"), std::pair(has_order_, "'fortran_order'"),
                                    std::pair(has_shape_, "'shape'")}) {
      if (!seen) fail(std::string("the key ") + key);
    }
    return std::move(literal_);
  }

 private:
  void parse_member() {
    const std::size_t start = at_;
    const std::string key = parse_string("a key in quotes");
    expect(':', "a colon");
    if (key == "descr") {
      once(has_descr_, start);
      parse_descr();
    } else if (key == "fortran_order") {
      once(has_order_, start);
      parse_order();
    } else if (key == "shape") {
      once(has_shape_, start);
      parse_shape();
    } else {
      at_ = start;
      fail("no key but descr, fortran_order and shape");
    }
  }

  void once(bool& seen, std::size_t start) {
    if (!std::exchange(seen, true)) return;
    at_ = start;
    fail("every key once");
  }

  void parse_descr() {
    skip_blanks();
    if (peek() == '[' || peek() == '(') {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "a structured dtype is not read",
                   .file = source_,
                   .offset = first_offset_ + at_,
                   .expected = "an array of numbers",
                   .found = rest(),
                   .hint = "save its fields as arrays of their own"});
    }
    literal_.descr = parse_string("a dtype in quotes");
  }

  void parse_order() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      literal_.fortran_order = word == "True";
      return;
    }
    fail("True or False");
  }

  void parse_shape() {
    expect('(', "a tuple of sizes");
    while (!accept(')')) {
      literal_.shape.push_back(parse_size());
      if (literal_.shape.size() > limits_.rank) {
        refuse_limit(limits_, &Limits::rank,
                     {.message = "dimensions of the array", .file = source_, .found = "more than that"});
      }
      if (accept(',')) continue;
      if (literal_.shape.size() == 1) fail("a comma: (3) is a number, (3,) a tuple");
      expect(')', "a comma or the end of the tuple");
      break;
    }
  }

  std::int64_t parse_size() {
    skip_blanks();
    const char* const begin = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    std::int64_t size = 0;
    const bool is_digit = peek() >= '0' && peek() <= '9';
    const auto [stop, problem] = std::from_chars(begin, end, size);
    if (!is_digit || problem != std::errc{}) fail("a size from 0 to 2^63 - 1");
    at_ += static_cast<std::size_t>(stop - begin);
    if (peek() == 'L') ++at_;
    return size;
  }

  std::string parse_string(const char* what) {
    skip_blanks();
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail(what);
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("the end of a string");
    const std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    if (content.find_first_of("\\\n") != std::string_view::npos) fail("a string without escapes");
    at_ = end + 1;
    return std::string(content);
  }

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c, const char* what) {
    if (!accept(c)) fail(what);
  }

  std::string rest() const {
    return at_ == text_.size() ? "the end of the header" : std::string(text_.substr(at_, kShown));
  }

  [[noreturn]] void fail(std::string expected) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "header of an array",
                 .file = source_,
                 .offset = first_offset_ + at_,
                 .expected = std::move(expected),
                 .found = rest()});
  }

  std::string_view text_;
  const std::string& source_;
  std::uint64_t first_offset_;
  const Limits& limits_;
  std::size_t at_ = 0;
  NpyLiteral literal_;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

}  // namespace

NpyLiteral parse_npy_literal(std::string_view text, const std::string& source, std::uint64_t first_offset,
                             const Limits& limits) {
  return LiteralParser(text, source, first_offset, limits).parse();
}

}  // namespace mq::formats
