// Byte-level BPE: every tokenizer whose words are split by a pattern and whose bytes are letters of their own alphabet.
#include <array>
#include <string>
#include <string_view>

#include "formats/gguf_value.hpp"
#include "src/gguf/tokenizer.hpp"

namespace mq::gguf {
namespace {

using formats::gguf_value;

constexpr std::string_view kSpaceLetter = "\xc4\xa0";  // U+0120: what the byte 0x20 is in the alphabet

// The patterns that llama.cpp knows, and the name that each has there. `ignores_merges`: words that are a token are
// taken whole, which that name implies.
struct Pattern {
  std::string_view regex;
  std::string_view name;
  bool ignores_merges = false;
};
#define MQ_WORDS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define MQ_REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MQ_LOWER_TAIL "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define MQ_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define MQ_CASED(SUFFIX)                                                                                              \
  "[^\\r\\n\\p{L}\\p{N}]?" MQ_UPPER "*" MQ_LOWER_TAIL "+" SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?" MQ_UPPER "+" MQ_LOWER_TAIL \
  "*" SUFFIX "|"
#define MQ_CASED_REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
constexpr std::array kPatterns = {
    Pattern{MQ_WORDS "\\p{N}{1,3}" MQ_REST, "llama-bpe", true},
    Pattern{MQ_WORDS "\\p{N}" MQ_REST, "qwen2"},
    Pattern{MQ_CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?") "\\p{N}{1,3}" MQ_CASED_REST, "gpt-4o"},
    Pattern{MQ_CASED("") "\\p{N}" MQ_CASED_REST, "tekken", true},
};

bool is(const json::Value& value, std::string_view key, const json::Value& wanted) {
  const json::Value* const found = value.find(key);
  return found != nullptr && *found == wanted;
}

// The steps of a pre-tokenizer, which may be a sequence.
std::vector<json::Value> steps_of(const json::Value* pre) {
  if (pre == nullptr || pre->is_null()) return {};
  if (!is(*pre, "type", "Sequence")) return {*pre};
  const json::Value* const all = pre->find("pretokenizers");
  return all != nullptr && all->as_array() != nullptr ? *all->as_array() : std::vector<json::Value>();
}

bool is_byte_level(const json::Value& step) {
  return is(step, "type", "ByteLevel");
}

// llama.cpp's name of the way words are split; empty if it has none.
std::string_view pre_tokenizer_name(const std::vector<json::Value>& steps, bool ignores_merges) {
  if (steps.empty() || !is_byte_level(steps.back())) return {};
  const bool own_pattern = !is(steps.back(), "use_regex", false);
  if (steps.size() == 1) return own_pattern ? "gpt-2" : "";
  if (steps.size() != 2) return {};
  const json::Value& first = steps.front();
  if (is(first, "type", "Digits")) return own_pattern && is(first, "individual_digits", true) ? "smollm" : "";
  if (!is(first, "type", "Split") || !is(first, "behavior", "Isolated") || own_pattern) return {};
  const json::Value* const pattern = first.find("pattern");
  if (pattern == nullptr) return {};
  for (const Pattern& row : kPatterns) {
    if (row.ignores_merges == ignores_merges && is(*pattern, "Regex", row.regex)) return row.name;
  }
  return {};
}

[[noreturn]] void corrupt(std::string message, const json::Value& found) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = "tokenizer.json",
               .found = json::dump(found, -1).substr(0, 100)});
}

// A space inside a part would be taken for the one between the two.
std::string merge_part(const json::Value& part) {
  if (part.as_string() == nullptr) corrupt("a merge is not two texts", part);
  std::string text = *part.as_string();
  for (std::size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', at)) {
    text.replace(at, 1, kSpaceLetter);
  }
  return text;
}

std::vector<std::string> merges_of(const json::Value& bpe, HfFiles& files) {
  std::vector<std::string> merges;
  if (const json::Value* const list = bpe.find("merges"); list != nullptr && list->as_array() != nullptr) {
    merges.reserve(list->as_array()->size());
    for (const json::Value& merge : *list->as_array()) {
      if (merge.as_string() != nullptr) {
        merges.push_back(*merge.as_string());
      } else if (merge.as_array() != nullptr && merge.as_array()->size() == 2) {
        merges.push_back(merge_part(merge.as_array()->front()) + " " + merge_part(merge.as_array()->back()));
      } else {
        corrupt("a merge is not two texts", merge);
      }
    }
  }
  if (!merges.empty()) return merges;
  const std::string text = files.text("merges.txt").value_or("");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (!line.empty() && !(begin == 0 && line.starts_with('#'))) merges.push_back(line);
    begin = end + 1;
  }
  return merges;
}

}  // namespace

void add_byte_level_bpe(HfFiles& files, const HfObject& tokenizer, std::int64_t vocab_size, GgufModel& model) {
  const json::Value& bpe = *tokenizer.find("model");
  const json::Value* const vocab = bpe.find("vocab");
  if (vocab == nullptr || vocab->as_object() == nullptr) tokenizer.missing("model.vocab");
  Vocabulary vocabulary(vocab_size, tokenizer.file());
  for (const auto& [text, id] : *vocab->as_object()) {
    if (id.as_int() == nullptr) corrupt("the id of a token is not a whole number", id);
    vocabulary.set(*id.as_int(), text, TokenType::Normal);
  }
  add_added_tokens(tokenizer.value(), vocabulary);

  std::string_view pre = pre_tokenizer_name(steps_of(tokenizer.find("pre_tokenizer")), is(bpe, "ignore_merges", true));
  if (pre.empty()) {
    pre = "default";
    model.notes.emplace_back(
        "llama.cpp has no known name for the way this tokenizer splits words: tokenizer.ggml.pre is \"default\"");
  }
  const std::vector<std::string> merges = merges_of(bpe, files);
  if (merges.empty()) tokenizer.missing("model.merges");
  model.values.push_back(gguf_value("tokenizer.ggml.model", std::string_view("gpt2")));
  model.values.push_back(gguf_value("tokenizer.ggml.pre", pre));
  vocabulary.add_values(false, model.values);
  model.values.push_back(gguf_value("tokenizer.ggml.merges", std::span<const std::string>(merges)));
}

}  // namespace mq::gguf
