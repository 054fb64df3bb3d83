#include <array>
#include <charconv>
#include <map>

#include "formats/gguf_value.hpp"
#include "src/gguf/tokenizer.hpp"

namespace mq::gguf {
namespace {

using formats::gguf_value;

struct Special {
  std::string_view hf;
  std::string_view gguf;
};
constexpr std::array kSpecials = {Special{"bos", "bos"},       Special{"eos", "eos"}, Special{"unk", "unknown"},
                                  Special{"sep", "seperator"},  // as llama.cpp spells it
                                  Special{"pad", "padding"},   Special{"cls", "cls"}, Special{"mask", "mask"}};

// Ids of tokens by their text.
using Ids = std::map<std::string, std::int64_t, std::less<>>;

// A text, or an object that has one.
const std::string* content_of(const json::Value* token) {
  if (token != nullptr && token->find("content") != nullptr) token = token->find("content");
  return token == nullptr ? nullptr : token->as_string();
}

Ids ids_of(const HfObject* tokenizer, const HfObject* settings) {
  Ids ids;
  if (const json::Value* added = tokenizer ? tokenizer->find("added_tokens") : nullptr; added && added->as_array()) {
    for (const json::Value& token : *added->as_array()) {
      const json::Value* const id = token.find("id");
      const std::string* const text = content_of(&token);
      if (id != nullptr && id->as_int() != nullptr && text != nullptr) ids.emplace(*text, *id->as_int());
    }
  }
  const json::Value* const decoder = settings ? settings->find("added_tokens_decoder") : nullptr;
  if (decoder != nullptr && decoder->as_object() != nullptr) {
    for (const auto& [id, token] : *decoder->as_object()) {
      std::int64_t number = -1;
      std::from_chars(id.data(), id.data() + id.size(), number);
      if (const std::string* text = content_of(&token)) ids.emplace(*text, number);
    }
  }
  return ids;
}

// A model may end in several tokens: the first of them.
std::optional<std::int64_t> id_of_config(const HfObject& config, const std::string& key) {
  const json::Value* id = config.find(key);
  if (id != nullptr && id->as_array() != nullptr && !id->as_array()->empty()) id = &id->as_array()->front();
  if (id == nullptr || id->as_int() == nullptr) return std::nullopt;
  return *id->as_int();
}

// What a tokenizer puts around a text.
struct Around {
  std::optional<std::string> first, last;
};

Around template_of(const HfObject* tokenizer) {
  Around around;
  const json::Value* step = tokenizer ? tokenizer->find("post_processor") : nullptr;
  std::vector<const json::Value*> steps = {step};
  if (step != nullptr && step->find("processors") != nullptr && step->find("processors")->as_array() != nullptr) {
    steps.clear();
    for (const json::Value& each : *step->find("processors")->as_array()) steps.push_back(&each);
  }
  for (const json::Value* each : steps) {
    const json::Value* const single = each != nullptr ? each->find("single") : nullptr;
    if (single == nullptr || single->as_array() == nullptr || single->as_array()->empty()) continue;
    const auto token = [](const json::Value& item) -> std::optional<std::string> {
      const json::Value* const special = item.find("SpecialToken");
      const json::Value* const id = special != nullptr ? special->find("id") : nullptr;
      if (id == nullptr || id->as_string() == nullptr) return std::nullopt;
      return *id->as_string();
    };
    around.first = token(single->as_array()->front());
    if (single->as_array()->size() > 1) around.last = token(single->as_array()->back());
  }
  return around;
}

void add_around(const HfObject* settings, const HfObject* tokenizer, const std::map<std::string, std::string>& texts,
                GgufModel& model) {
  const Around around = template_of(tokenizer);
  const auto is = [&](const std::optional<std::string>& text, const char* name) {
    const auto found = texts.find(name);
    return text && found != texts.end() && found->second == *text;
  };
  const bool bos = settings ? settings->flag("add_bos_token", is(around.first, "bos")) : is(around.first, "bos");
  const bool eos = settings ? settings->flag("add_eos_token", is(around.last, "eos")) : is(around.last, "eos");
  model.values.push_back(gguf_value("tokenizer.ggml.add_bos_token", bos));
  model.values.push_back(gguf_value("tokenizer.ggml.add_eos_token", eos));
}

std::string plain_name(std::string name) {
  for (char& c : name) {
    const bool plain = ('A' <= c && c <= 'Z') || ('a' <= c && c <= 'z') || ('0' <= c && c <= '9');
    if (!plain) c = '_';
  }
  return name;
}

// One text, or a list of named ones of which "default" is the main one.
void add_templates(const json::Value& templates, GgufModel& model) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (const std::string* const text = templates.as_string()) {
    model.values.push_back(gguf_value(kKey, std::string_view(*text)));
    return;
  }
  if (templates.as_array() == nullptr) return;
  std::vector<std::string> names;
  for (const json::Value& entry : *templates.as_array()) {
    const json::Value* const name = entry.find("name");
    const json::Value* const text = entry.find("template");
    if (name == nullptr || name->as_string() == nullptr || text == nullptr || text->as_string() == nullptr) continue;
    const bool main = *name->as_string() == "default";
    if (!main) names.push_back(plain_name(*name->as_string()));
    model.values.push_back(gguf_value(main ? kKey : kKey + ("." + names.back()), std::string_view(*text->as_string())));
  }
  if (!names.empty())
    model.values.push_back(gguf_value("tokenizer.chat_templates", std::span<const std::string>(names)));
}

void add_chat_template(HfFiles& files, const HfObject* settings, GgufModel& model) {
  if (const json::Value* own = settings ? settings->find("chat_template") : nullptr) {
    add_templates(*own, model);
  } else if (const auto jinja = files.text("chat_template.jinja")) {
    add_templates(*jinja, model);
  } else if (const auto object = files.object("chat_template.json")) {
    if (const json::Value* inner = object->find("chat_template")) add_templates(*inner, model);
  }
}

}  // namespace

void add_special_tokens(HfFiles& files, const HfObject& config, const HfObject* tokenizer, std::int64_t vocab_size,
                        GgufModel& model) {
  const std::optional<HfObject> settings = files.object("tokenizer_config.json");
  const Ids ids = ids_of(tokenizer, settings ? &*settings : nullptr);
  std::map<std::string, std::string> texts;
  for (const Special& special : kSpecials) {
    const std::string name(special.hf);
    std::optional<std::int64_t> id;
    if (const std::string* text = settings ? content_of(settings->find(name + "_token")) : nullptr) {
      texts.emplace(name, *text);
      if (const auto found = ids.find(*text); found != ids.end()) id = found->second;
    }
    if (!id) id = id_of_config(config, name + "_token_id");
    if (!id) continue;
    if (*id < 0 || *id >= vocab_size) {
      model.notes.push_back("the " + name + " token has the id " + std::to_string(*id) +
                            ", which the vocabulary does not have: left out");
      continue;
    }
    model.values.push_back(
        gguf_value("tokenizer.ggml." + std::string(special.gguf) + "_token_id", static_cast<std::uint32_t>(*id)));
  }
  add_around(settings ? &*settings : nullptr, tokenizer, texts, model);
  add_chat_template(files, settings ? &*settings : nullptr, model);
}

void add_tokenizer(HfFiles& files, const HfObject& config, std::int64_t vocab_size, GgufModel& model) {
  const std::optional<HfObject> tokenizer = files.object("tokenizer.json");
  const HfObject* const there = tokenizer ? &*tokenizer : nullptr;
  const json::Value* const kind = there ? there->find("model") : nullptr;
  if (there == nullptr && !files.has("tokenizer.model")) {
    model.notes.emplace_back("the model has no tokenizer.json and no tokenizer.model: the file gets no vocabulary");
    return;
  }
  const auto has = [&](const char* key, const json::Value& wanted) {
    const json::Value* const found = kind ? kind->find(key) : nullptr;
    return found != nullptr && *found == wanted;
  };
  if (files.has("tokenizer.model") || (has("type", "BPE") && has("byte_fallback", true))) {
    add_sentencepiece(files, there, vocab_size, model);
  } else if (has("type", "BPE")) {
    add_byte_level_bpe(files, *there, vocab_size, model);
  } else {
    const json::Value* const type = kind ? kind->find("type") : nullptr;
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "a tokenizer of this kind is not written to GGUF",
                 .file = "tokenizer.json",
                 .expected = "a model of type BPE, or tokenizer.model of SentencePiece",
                 .found = type ? json::dump(*type, -1) : "no type",
                 .hint = "--like BASE.gguf takes the vocabulary of another file"});
  }
  add_special_tokens(files, config, there, vocab_size, model);
}

}  // namespace mq::gguf
