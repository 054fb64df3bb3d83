// Tokenizers of Hugging Face models as key-values of GGUF files.
#include <doctest/doctest.h>

#include <cstring>

#include "formats/gguf_value.hpp"
#include "mq/gguf.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/llama_folder.hpp"

using namespace mq;
using formats::gguf_value;
using test::LlamaFolder;

namespace {

GgufModel model_of(const LlamaFolder& folder, const std::vector<std::pair<std::string, std::string>>& files = {}) {
  const test::TempDir dir;
  folder.write(dir / "model");
  for (const auto& [name, content] : files) test::write_file(dir / "model" / name, content);
  const auto checkpoint = open_checkpoint(dir / "model");
  return gguf_model(*checkpoint, describe(*checkpoint));
}

std::string refusal(const LlamaFolder& folder, const std::vector<std::pair<std::string, std::string>>& files = {}) {
  return test::message_of([&] { model_of(folder, files); });
}

const StoredValue& value(const GgufModel& model, std::string_view key) {
  const StoredValue* const found = formats::find_value(model.values, key);
  REQUIRE_MESSAGE(found != nullptr, key);
  return *found;
}

std::string text(const GgufModel& model, std::string_view key) {
  return std::string(formats::as_string(value(model, key)).value());
}

// The elements of an array of strings.
std::vector<std::string> texts(const GgufModel& model, std::string_view key) {
  const std::string& bytes = value(model, key).bytes;
  std::vector<std::string> all;
  for (std::size_t at = 12; at < bytes.size();) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    all.push_back(bytes.substr(at + 8, static_cast<std::size_t>(length)));
    at += 8 + static_cast<std::size_t>(length);
  }
  return all;
}

template <class T>
std::vector<T> numbers(const GgufModel& model, std::string_view key) {
  const std::string& bytes = value(model, key).bytes;
  std::vector<T> all((bytes.size() - 12) / sizeof(T));
  std::memcpy(all.data(), bytes.data() + 12, all.size() * sizeof(T));
  return all;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

json::Value split(const char* regex) {
  json::Value step = json::Object{{"type", "Split"}, {"behavior", "Isolated"}};
  step.set("pattern", json::Object{{"Regex", regex}});
  json::Value bytes = json::Object{{"type", "ByteLevel"}, {"use_regex", false}};
  return json::Object{{"type", "Sequence"}, {"pretokenizers", json::Array{step, bytes}}};
}

void set_model(LlamaFolder& folder, const char* key, json::Value value) {
  json::Value model = *folder.tokenizer.find("model");
  model.set(key, std::move(value));
  folder.tokenizer.set("model", std::move(model));
}

std::string pre_of(json::Value pre, bool ignore_merges = false) {
  LlamaFolder folder;
  folder.tokenizer.set("pre_tokenizer", std::move(pre));
  set_model(folder, "ignore_merges", ignore_merges);
  const GgufModel model = model_of(folder);
  const std::string name = text(model, "tokenizer.ggml.pre");
  CHECK(model.notes.size() == (name == "default" ? 1 : 0));
  return name;
}

// A field of a protocol buffer.
std::string field(int number, std::string_view bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + std::string(bytes);
}
std::string varint(int number, int value) {
  return std::string(1, static_cast<char>(number << 3)) + static_cast<char>(value);
}
std::string piece(std::string_view text, float score, int type) {
  return field(1, field(1, text) + "\x15" + test::raw(score) + varint(3, type));
}

}  // namespace

TEST_CASE("tokenizer: byte-level BPE: one token for every row of the embedding, types, merges") {
  const GgufModel model = model_of({});
  CHECK(text(model, "tokenizer.ggml.model") == "gpt2");
  CHECK(text(model, "tokenizer.ggml.pre") == "gpt-2");
  const std::vector<std::string> tokens = texts(model, "tokenizer.ggml.tokens");
  REQUIRE(tokens.size() == 40);
  CHECK(std::vector<std::string>(tokens.begin(), tokens.begin() + 8) == std::vector<std::string>{"a", "<s>", "</s>",
                                                                                                 "b", "word",
                                                                                                 "\xc4\xa0"
                                                                                                 "a",
                                                                                                 "ab", "[PAD7]"});
  const std::vector<std::int32_t> types = numbers<std::int32_t>(model, "tokenizer.ggml.token_type");
  CHECK(std::vector<std::int32_t>(types.begin(), types.begin() + 8) ==
        std::vector<std::int32_t>{1, 3, 3, 1, 4, 1, 1, 5});
  CHECK(texts(model, "tokenizer.ggml.merges") == std::vector<std::string>{"\xc4\xa0 a", "a b"});
  CHECK(formats::find_value(model.values, "tokenizer.ggml.scores") == nullptr);
  CHECK(value(model, "tokenizer.ggml.bos_token_id") == gguf_value("tokenizer.ggml.bos_token_id", 1u));
  CHECK(value(model, "tokenizer.ggml.eos_token_id") == gguf_value("tokenizer.ggml.eos_token_id", 2u));
  CHECK(value(model, "tokenizer.ggml.add_bos_token") == gguf_value("tokenizer.ggml.add_bos_token", true));
  CHECK(value(model, "tokenizer.ggml.add_eos_token") == gguf_value("tokenizer.ggml.add_eos_token", false));
}

TEST_CASE(
    "tokenizer: the way words are split gets llama.cpp's name for it, and \"default\" with a note if it has none") {
  constexpr const char* kLlama3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
      "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
      "|\\s+(?!\\S)|\\s+";
  constexpr const char* kQwen2 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
      "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+"
      "(?!\\S)|\\s+";
  CHECK(pre_of(split(kLlama3), true) == "llama-bpe");
  CHECK(pre_of(split(kLlama3), false) == "default");
  CHECK(pre_of(split(kQwen2)) == "qwen2");
  CHECK(pre_of(split("\\w+")) == "default");
  CHECK(pre_of(json::Object{{"type", "Whitespace"}}) == "default");
  json::Value digits = json::Object{{"type", "Digits"}, {"individual_digits", true}};
  json::Value bytes = json::Object{{"type", "ByteLevel"}, {"use_regex", true}};
  CHECK(pre_of(json::Object{{"type", "Sequence"}, {"pretokenizers", json::Array{digits, bytes}}}) == "smollm");
}

TEST_CASE("tokenizer: what a text is put between follows from the template where no setting says it") {
  LlamaFolder folder;
  folder.tokenizer_config = json::parse(R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>"})", "");
  folder.tokenizer.set("post_processor",
                       json::parse(R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}},
                           {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]})",
                                   ""));
  const GgufModel model = model_of(folder);
  CHECK(value(model, "tokenizer.ggml.add_bos_token") == gguf_value("tokenizer.ggml.add_bos_token", true));
  CHECK(value(model, "tokenizer.ggml.add_eos_token") == gguf_value("tokenizer.ggml.add_eos_token", true));
}

TEST_CASE("tokenizer: the chat template is taken from wherever it is") {
  LlamaFolder folder;
  CHECK(text(model_of(folder, {{"chat_template.jinja", "{{ x }}"}}), "tokenizer.chat_template") == "{{ x }}");
  CHECK(text(model_of(folder, {{"chat_template.json", R"({"chat_template": "y"})"}}), "tokenizer.chat_template") ==
        "y");
  folder.tokenizer_config.set("chat_template", "own");
  CHECK(text(model_of(folder, {{"chat_template.jinja", "{{ x }}"}}), "tokenizer.chat_template") == "own");
  folder.tokenizer_config.set("chat_template",
                              json::parse(R"([{"name": "default", "template": "d"}, {"name": "tool use",
                                  "template": "t"}])",
                                          ""));
  const GgufModel several = model_of(folder);
  CHECK(text(several, "tokenizer.chat_template") == "d");
  CHECK(text(several, "tokenizer.chat_template.tool_use") == "t");
  CHECK(texts(several, "tokenizer.chat_templates") == std::vector<std::string>{"tool_use"});
}

TEST_CASE("tokenizer: those that GGUF has no counterpart for, and broken ones, are refused by name") {
  LlamaFolder folder;
  folder.tokenizer = json::parse(R"({"model": {"type": "Unigram", "vocab": [["a", -1.0]]}})", "");
  CHECK(has(refusal(folder), "found \"Unigram\""));
  folder.tokenizer = json::parse(R"({"model": {"type": "WordPiece"}})", "");
  CHECK(has(refusal(folder), "found \"WordPiece\""));
  folder = {};
  folder.config.set("vocab_size", 41);
  CHECK(has(refusal(folder), "the rows of the embedding"));
  folder = {};
  folder.vocab = 6;
  CHECK(has(refusal(folder), "outside the model's embedding"));
  folder = {};
  set_model(folder, "merges", json::Array{});
  CHECK(has(refusal(folder), "model.merges is missing"));
  CHECK(texts(model_of(folder, {{"merges.txt", "#version\na b\n"}}), "tokenizer.ggml.merges") ==
        std::vector<std::string>{"a b"});
  set_model(folder, "merges", json::Array{json::Array{1, 2}});
  CHECK(has(refusal(folder), "a merge is not two texts"));
  folder = {};
  set_model(folder, "vocab", json::parse(R"({"a": 0, "word": 9})", ""));
  CHECK(has(refusal(folder), "two tokens of one text"));
  folder = {};
  folder.tokenizer = nullptr;
  CHECK(has(model_of(folder).notes.at(0), "no vocabulary"));
}

TEST_CASE("tokenizer: tokenizer.model of SentencePiece gives tokens with scores and types") {
  LlamaFolder folder;
  folder.tokenizer = nullptr;
  folder.tokenizer_config = json::parse(R"({"added_tokens_decoder": {"0": {"content": "<unk>", "special": true},
      "5": {"content": "<|im_start|>", "special": false}}, "unk_token": "<unk>"})",
                                        "");
  const std::string pieces = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("<0x00>", 0, 6) +
                             piece("\xe2\x96\x81t", -1.5f, 1);
  const GgufModel model = model_of(folder, {{"tokenizer.model", pieces + field(2, varint(3, 2))}});
  CHECK(text(model, "tokenizer.ggml.model") == "llama");
  const std::vector<std::string> tokens = texts(model, "tokenizer.ggml.tokens");
  CHECK(tokens.at(4) == "\xe2\x96\x81t");
  CHECK(tokens.at(5) == "<|im_start|>");
  const std::vector<std::int32_t> types = numbers<std::int32_t>(model, "tokenizer.ggml.token_type");
  CHECK(std::vector<std::int32_t>(types.begin(), types.begin() + 7) == std::vector<std::int32_t>{2, 3, 3, 6, 1, 3, 5});
  CHECK(numbers<float>(model, "tokenizer.ggml.scores").at(4) == -1.5f);
  CHECK(value(model, "tokenizer.ggml.unknown_token_id") == gguf_value("tokenizer.ggml.unknown_token_id", 0u));
  CHECK(has(refusal(folder, {{"tokenizer.model", pieces + field(2, varint(3, 1))}}), "unigram"));
  CHECK(has(refusal(folder, {{"tokenizer.model", pieces.substr(0, pieces.size() - 3)}}), "not a SentencePiece model"));
}

TEST_CASE("tokenizer: SentencePiece in a tokenizer.json: earlier merges have higher scores") {
  LlamaFolder folder;
  folder.tokenizer = json::parse(R"({"added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
      "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
      "vocab": {"<unk>": 0, "<0x0A>": 1, "a": 2, "b": 3, "ab": 4, "aab": 5}, "merges": ["a b", ["a", "ab"]]}})",
                                 "");
  const GgufModel model = model_of(folder);
  CHECK(text(model, "tokenizer.ggml.model") == "llama");
  const std::vector<std::int32_t> types = numbers<std::int32_t>(model, "tokenizer.ggml.token_type");
  CHECK(std::vector<std::int32_t>(types.begin(), types.begin() + 6) == std::vector<std::int32_t>{2, 6, 1, 1, 1, 1});
  const std::vector<float> scores = numbers<float>(model, "tokenizer.ggml.scores");
  CHECK(scores.at(4) == 0);
  CHECK(scores.at(5) == -1);
  CHECK(scores.at(2) < scores.at(5));
}
