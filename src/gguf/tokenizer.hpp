// The tokenizer of a Hugging Face model as the key-values tokenizer.* of a GGUF file.
// Source: ggml-org/llama.cpp, src/llama-vocab.cpp, convert_hf_to_gguf.py; gguf-py/gguf/vocab.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/gguf.hpp"
#include "src/gguf/hf_files.hpp"

namespace mq::gguf {

// As llama.cpp numbers them.
enum class TokenType : std::int32_t { Normal = 1, Unknown, Control, UserDefined, Unused, Byte };

// The tokens of a model by their ids.
class Vocabulary {
 public:
  // Ids without a token become [PAD<id>]. `file` is named in errors.
  Vocabulary(std::int64_t size, std::string file);

  // Throws: Usage for an id outside the model's embedding. What an id had before is replaced.
  void set(std::int64_t id, std::string text, TokenType type, float score = 0);
  std::int64_t size() const noexcept { return static_cast<std::int64_t>(texts_.size()); }
  // Of ids below size().
  bool has(std::int64_t id) const { return !texts_[static_cast<std::size_t>(id)].empty(); }
  TokenType type(std::int64_t id) const { return static_cast<TokenType>(types_[static_cast<std::size_t>(id)]); }

  // Appends tokenizer.ggml.tokens, scores if they have a meaning, and token_type.
  // Throws: Usage for two tokens of one text.
  void add_values(bool scores, std::vector<StoredValue>& values);

 private:
  std::string file_;
  std::vector<std::string> texts_;
  std::vector<float> scores_;
  std::vector<std::int32_t> types_;
};

// Tokens that are added to a vocabulary: members of tokenizer.json and of added_tokens_decoder in
// tokenizer_config.json.
void add_added_tokens(const json::Value& tokenizer, Vocabulary& vocabulary);
TokenType type_of_added(std::string_view text, bool special);

// tokenizer.json of a byte-level BPE: model, pre, tokens, types, merges. Notes what could not be found out.
// Throws: Unsupported naming the kind of tokenizer if it is another one, Usage, Corrupt.
void add_byte_level_bpe(HfFiles& files, const HfObject& tokenizer, std::int64_t vocab_size, GgufModel& model);

// SentencePiece, from tokenizer.model if there is one, else from a tokenizer.json with byte_fallback.
// Throws: as above.
void add_sentencepiece(HfFiles& files, const HfObject* tokenizer, std::int64_t vocab_size, GgufModel& model);

// Ids of bos, eos and others, whether they are put around a text, and the chat template.
void add_special_tokens(HfFiles& files, const HfObject& config, const HfObject* tokenizer, std::int64_t vocab_size,
                        GgufModel& model);

// All of it, from whatever files there are.
void add_tokenizer(HfFiles& files, const HfObject& config, std::int64_t vocab_size, GgufModel& model);

}  // namespace mq::gguf
