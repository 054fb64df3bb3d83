#include <algorithm>
#include <array>

#include "formats/duplicates.hpp"
#include "formats/gguf_value.hpp"
#include "src/gguf/tokenizer.hpp"

namespace mq::gguf {
namespace {

// SentencePiece's visible space.
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

std::string with_spaces(std::string text) {
  for (std::size_t at = text.find(kSpaceMark); at != std::string::npos; at = text.find(kSpaceMark, at + 1)) {
    text.replace(at, kSpaceMark.size(), " ");
  }
  return text;
}

// Texts of tokens that no person would write.
bool looks_special(std::string_view text) {
  constexpr std::string_view kBar = "\xef\xbd\x9c";  // U+FF5C
  static constexpr std::array<std::string_view, 4> kWhole = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
  const auto between = [&](std::string_view begin, std::string_view end) {
    return text.size() >= begin.size() + end.size() && text.starts_with(begin) && text.ends_with(end);
  };
  return std::ranges::find(kWhole, text) != kWhole.end() || between("<|", "|>") ||
         between("<" + std::string(kBar), std::string(kBar) + ">") || between("<unused", ">");
}

}  // namespace

Vocabulary::Vocabulary(std::int64_t size, std::string file)
    : file_(std::move(file)),
      texts_(static_cast<std::size_t>(size)),
      scores_(texts_.size(), -10000.0f),
      types_(texts_.size(), static_cast<std::int32_t>(TokenType::Unused)) {}

void Vocabulary::set(std::int64_t id, std::string text, TokenType type, float score) {
  if (id < 0 || id >= size()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "the id of token " + printable(text) + " is outside the model's embedding",
                 .file = file_,
                 .expected = "below " + std::to_string(size()) + " (vocab_size of config.json)",
                 .found = std::to_string(id)});
  }
  if (text.empty()) {
    throw Error({.code = ErrorCode::Usage, .message = "empty token", .file = file_, .found = std::to_string(id)});
  }
  const auto at = static_cast<std::size_t>(id);
  texts_[at] = std::move(text);
  scores_[at] = score;
  types_[at] = static_cast<std::int32_t>(type);
}

void Vocabulary::add_values(bool scores, std::vector<StoredValue>& values) {
  for (std::size_t id = 0; id < texts_.size(); ++id) {
    if (texts_[id].empty()) texts_[id] = "[PAD" + std::to_string(id) + "]";
  }
  if (const auto twice = formats::find_duplicate({texts_.begin(), texts_.end()})) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "two tokens of one text, which llama.cpp does not load",
                 .file = file_,
                 .found = printable(*twice)});
  }
  using formats::gguf_value;
  values.push_back(gguf_value("tokenizer.ggml.tokens", std::span<const std::string>(texts_)));
  if (scores) values.push_back(gguf_value("tokenizer.ggml.scores", std::span<const float>(scores_)));
  values.push_back(gguf_value("tokenizer.ggml.token_type", std::span<const std::int32_t>(types_)));
}

TokenType type_of_added(std::string_view text, bool special) {
  return special || looks_special(text) ? TokenType::Control : TokenType::UserDefined;
}

void add_added_tokens(const json::Value& tokenizer, Vocabulary& vocabulary) {
  const json::Value* const added = tokenizer.find("added_tokens");
  if (added == nullptr || added->as_array() == nullptr) return;
  for (const json::Value& token : *added->as_array()) {
    const json::Value* const id = token.find("id");
    const json::Value* const content = token.find("content");
    const json::Value* const special = token.find("special");
    if (id == nullptr || id->as_int() == nullptr || content == nullptr || content->as_string() == nullptr) {
      throw Error({.code = ErrorCode::Corrupt,
                   .message = "an added token is not an id and a content",
                   .file = "tokenizer.json",
                   .found = json::dump(token, -1)});
    }
    const std::string& text = *content->as_string();
    const bool is_special = special != nullptr && special->as_bool() != nullptr && *special->as_bool();
    const TokenType type = type_of_added(text, is_special);
    vocabulary.set(*id->as_int(), type == TokenType::UserDefined ? with_spaces(text) : text, type);
  }
}

}  // namespace mq::gguf
