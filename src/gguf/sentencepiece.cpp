// SentencePiece: tokens with scores, spaces as U+2581, bytes as tokens of their own. tokenizer.model is a protocol
// buffer of which three fields matter:
//
//   1 piece*  { 1 text, 2 score (f32), 3 type (as TokenType) }     2 trainer { 3 model type: 1 unigram, 2 BPE }
//
// Source: google/sentencepiece, src/sentencepiece_model.proto.
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "formats/gguf_value.hpp"
#include "src/gguf/tokenizer.hpp"

namespace mq::gguf {
namespace {

using formats::gguf_value;

constexpr const char* kModelFile = "tokenizer.model";
constexpr float kAddedScore = -1000.0f;
constexpr std::int64_t kBpe = 2;

// The fields of a message, one after the other.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // Moves to the next field; false at the end. Throws: Corrupt.
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t tag = varint();
    field_ = tag >> 3;
    switch (tag & 7) {
      case 0:
        number_ = varint();
        return true;
      case 1:
        bytes_ = take(8);
        return true;
      case 2:
        bytes_ = take(varint());
        return true;
      case 5:
        bytes_ = take(4);
        return true;
      default:
        corrupt();
    }
  }
  std::uint64_t field() const noexcept { return field_; }
  std::uint64_t number() const noexcept { return number_; }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  [[noreturn]] static void corrupt() {
    throw Error({.code = ErrorCode::Corrupt, .message = "not a SentencePiece model", .file = kModelFile});
  }
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) corrupt();
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(count));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1).front());
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    corrupt();
  }

  std::string_view rest_;
  std::uint64_t field_ = 0;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

void add_piece(std::string_view bytes, std::int64_t id, Vocabulary& vocabulary) {
  std::string text;
  float score = 0;
  auto type = TokenType::Normal;
  for (Message piece(bytes); piece.next();) {
    if (piece.field() == 1) text = piece.bytes();
    if (piece.field() == 2 && piece.bytes().size() == sizeof score)
      std::memcpy(&score, piece.bytes().data(), sizeof score);
    if (piece.field() == 3 && piece.number() >= 1 && piece.number() <= 6) type = static_cast<TokenType>(piece.number());
  }
  vocabulary.set(id, std::move(text), type, score);
}

void read_model(std::string_view bytes, Vocabulary& vocabulary) {
  std::int64_t id = 0;
  for (Message model(bytes); model.next();) {
    if (model.field() == 1) add_piece(model.bytes(), id++, vocabulary);
    if (model.field() != 2) continue;
    std::int64_t kind = 1;
    for (Message trainer(model.bytes()); trainer.next();) {
      if (trainer.field() == 3) kind = static_cast<std::int64_t>(trainer.number());
    }
    if (kind == kBpe) continue;
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "a tokenizer of this kind is not written to GGUF",
                 .file = kModelFile,
                 .expected = "a SentencePiece model of type BPE",
                 .found = kind == 1 ? "unigram" : "type " + std::to_string(kind),
                 .hint = "--like BASE.gguf takes the vocabulary of another file"});
  }
}

// "<0x0A>"
bool is_byte(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

// A tokenizer.json keeps the order of merges in place of scores: what is merged earlier has the higher one.
std::unordered_map<std::string, float> scores_of(const json::Value& merges) {
  std::unordered_map<std::string, float> scores;
  if (merges.as_array() == nullptr) return scores;
  float rank = 0;
  for (const json::Value& merge : *merges.as_array()) {
    std::string text;
    if (const std::string* const pair = merge.as_string()) {
      text = *pair;
      if (const std::size_t space = text.find(' ', 1); space != std::string::npos) text.erase(space, 1);
    } else if (const json::Array* const parts = merge.as_array()) {
      for (const json::Value& part : *parts) text += part.as_string() ? *part.as_string() : "";
    }
    scores.emplace(std::move(text), -rank);
    rank += 1;
  }
  return scores;
}

void read_json(const HfObject& tokenizer, Vocabulary& vocabulary) {
  const json::Value& bpe = *tokenizer.find("model");
  const json::Value* const vocab = bpe.find("vocab");
  const json::Value* const merges = bpe.find("merges");
  if (vocab == nullptr || vocab->as_object() == nullptr) tokenizer.missing("model.vocab");
  if (merges == nullptr) tokenizer.missing("model.merges");
  const std::unordered_map<std::string, float> scores = scores_of(*merges);
  const json::Value* const unknown = bpe.find("unk_token");
  add_added_tokens(tokenizer.value(), vocabulary);
  for (const auto& [text, id] : *vocab->as_object()) {
    if (id.as_int() == nullptr) tokenizer.refuse("model.vocab", "ids", json::dump(id, -1));
    const auto score = scores.find(text);
    if (unknown != nullptr && unknown->as_string() != nullptr && *unknown->as_string() == text) {
      vocabulary.set(*id.as_int(), text, TokenType::Unknown);
    } else if (is_byte(text)) {
      vocabulary.set(*id.as_int(), text, TokenType::Byte);
    } else if (*id.as_int() < 0 || *id.as_int() >= vocabulary.size() || !vocabulary.has(*id.as_int())) {
      // A character by itself is never the result of a merge.
      vocabulary.set(*id.as_int(), text, TokenType::Normal, score == scores.end() ? -1e6f : score->second);
    }
  }
}

// Texts of ids that a tokenizer was given later.
void read_added(HfFiles& files, Vocabulary& vocabulary) {
  if (const auto added = files.object("added_tokens.json"); added && added->value().as_object() != nullptr) {
    for (const auto& [text, id] : *added->value().as_object()) {
      if (id.as_int() == nullptr) added->refuse(text, "an id", json::dump(id, -1));
      vocabulary.set(*id.as_int(), text, TokenType::UserDefined, kAddedScore);
    }
  }
  const auto settings = files.object("tokenizer_config.json");
  const json::Value* const decoder = settings ? settings->find("added_tokens_decoder") : nullptr;
  if (decoder == nullptr || decoder->as_object() == nullptr) return;
  for (const auto& [number, token] : *decoder->as_object()) {
    std::int64_t id = -1;
    std::from_chars(number.data(), number.data() + number.size(), id);
    const json::Value* const content = token.find("content");
    if (content == nullptr || content->as_string() == nullptr)
      settings->refuse("added_tokens_decoder", "a content", number);
    const json::Value* const special = token.find("special");
    const bool is_special = special != nullptr && special->as_bool() != nullptr && *special->as_bool();
    // The unknown token stays what it is.
    if (id >= 0 && id < vocabulary.size() && vocabulary.type(id) == TokenType::Unknown) continue;
    vocabulary.set(id, *content->as_string(), type_of_added(*content->as_string(), is_special), kAddedScore);
  }
}

}  // namespace

void add_sentencepiece(HfFiles& files, const HfObject* tokenizer, std::int64_t vocab_size, GgufModel& model) {
  const std::optional<std::string> pieces = files.text(kModelFile);
  Vocabulary vocabulary(vocab_size, pieces ? kModelFile : "tokenizer.json");
  if (pieces) {
    read_model(*pieces, vocabulary);
    read_added(files, vocabulary);
  } else {
    read_json(*tokenizer, vocabulary);
  }
  model.values.push_back(gguf_value("tokenizer.ggml.model", std::string_view("llama")));
  model.values.push_back(gguf_value("tokenizer.ggml.pre", std::string_view("default")));
  vocabulary.add_values(true, model.values);
  const auto settings = files.object("tokenizer_config.json");
  if (settings && settings->find("add_prefix_space") != nullptr) {
    model.values.push_back(gguf_value("tokenizer.ggml.add_space_prefix", settings->flag("add_prefix_space", true)));
  }
}

}  // namespace mq::gguf
