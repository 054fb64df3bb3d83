#include "tools/mq-convert/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <vector>

#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

bool take_digits(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(digits);
  return digits > 0;
}

bool take_one(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// JSON's grammar of numbers.
bool is_number(std::string_view text) {
  take_one(text, "-");
  if (!take_one(text, "0") && !take_digits(text)) return false;
  if (take_one(text, ".") && !take_digits(text)) return false;
  if (take_one(text, "eE")) {
    take_one(text, "+-");
    if (!take_digits(text)) return false;
  }
  return text.empty();
}

bool is_json_literal(std::string_view text) {
  return text == "true" || text == "false" || text == "null" || is_number(text);
}

// Writes JSON as the parser comes by. Nothing is expanded: without aliases the text is as long as its YAML, about.
class Writer final : public YAML::EventHandler {
 public:
  explicit Writer(std::string_view source) : source_(source) {}

  std::string take() { return std::move(out_); }

  [[noreturn]] void fail(const YAML::Mark& mark, std::string message) const {
    const std::string line = mark.line < 0 ? "" : " (line " + std::to_string(mark.line + 1) + ')';
    throw Error({.code = ErrorCode::Usage, .message = std::move(message) + line, .file = std::string(source_)});
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) fail(mark, "more than one YAML document");
  }
  void OnDocumentEnd() override {}

  // What is empty stands nowhere: its mark is that of what follows.
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (expects_key()) fail(mark, "a key that is no text");
    begin_value();
    out_ += "null";
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { fail(mark, "aliases are not allowed in recipes"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    const bool plain = tag == "?";
    if (!plain && tag != "!") fail(mark, "tags are not allowed in recipes");
    const bool is_key = expects_key();
    begin_value();
    move_to(mark);
    if (is_key || !plain || !is_json_literal(value)) {
      json::append_string(out_, value);
    } else {
      out_ += value;
    }
    if (is_key) out_ += ": ";
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, {.closing = ']'});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, {.closing = '}'});
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    char closing = ']';
    std::size_t values = 0;  // keys of a mapping are values too
  };

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) fail(mark, "anchors are not allowed in recipes");
  }
  bool expects_key() const {
    return !levels_.empty() && levels_.back().closing == '}' && levels_.back().values % 2 == 0;
  }
  void begin_value() {
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (level.values > 0 && (level.closing == ']' || level.values % 2 == 0)) out_ += ", ";
    ++level.values;
  }
  void move_to(const YAML::Mark& mark) {
    for (; line_ < mark.line; ++line_) out_ += '\n';
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Level level) {
    refuse_anchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) fail(mark, "tags are not allowed in recipes");
    if (expects_key()) fail(mark, "a key that is no text");
    begin_value();
    move_to(mark);
    out_ += level.closing == '}' ? '{' : '[';
    levels_.push_back(level);
  }
  void close() {
    out_ += levels_.back().closing;
    levels_.pop_back();
  }

  std::string_view source_;
  std::string out_;
  std::vector<Level> levels_;
  int line_ = 0;
  int documents_ = 0;
};

}  // namespace

std::string json_of_yaml(std::string_view yaml, std::string_view source) {
  if (yaml.size() > kMaxBytes) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "the YAML text is too large",
                 .file = std::string(source),
                 .expected = "at most " + std::to_string(kMaxBytes) + " bytes",
                 .found = std::to_string(yaml.size())});
  }
  Writer writer(source);
  std::istringstream stream{std::string(yaml)};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(writer)) {
    }
  } catch (const YAML::Exception& error) {
    writer.fail(error.mark, "invalid YAML: " + error.msg);
  }
  return writer.take();
}

}  // namespace mq::tool
