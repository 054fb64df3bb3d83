// GGUF files made of Hugging Face models: names, order of rows, key-values.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "formats/gguf_value.hpp"
#include "mq/mq.hpp"
#include "tests/support/llama_gguf.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using namespace mq::test;

TEST_CASE("gguf: a Llama model gets llama.cpp's names, float32 vectors, and its rows in llama.cpp's order") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.biases = true;
  const auto original = open_checkpoint(folder.write(dir / "model"));
  const auto file = written(dir / "model", kCopy, dir / "m.gguf");
  CHECK(file->tensors().size() == original->tensors().size());
  const std::vector<std::string> names = names_of(*file);
  for (const char* name :
       {"token_embd.weight", "output_norm.weight", "output.weight", "blk.1.attn_norm.weight", "blk.1.ffn_norm.weight",
        "blk.0.attn_q.weight", "blk.0.attn_q.bias", "blk.0.attn_k.weight", "blk.0.attn_v.weight",
        "blk.0.attn_output.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.weight"}) {
    CAPTURE(name);
    CHECK(std::ranges::binary_search(names, name));
  }
  CHECK(dtype_of(*file, "blk.0.ffn_norm.weight") == DType::Float32);
  CHECK(dtype_of(*file, "blk.0.attn_q.bias") == DType::Float32);
  CHECK(dtype_of(*file, "blk.0.attn_q.weight") == DType::BFloat16);

  const auto check_rows = [&](const std::string& hf, const std::string& gguf, int heads) {
    CAPTURE(hf);
    const std::string a = test::bytes_of_tensor(*original, *original->find(hf));
    const std::string b = test::bytes_of_tensor(*file, *file->find(gguf));
    const std::size_t rows = static_cast<std::size_t>(original->tensors()[*original->find(hf)].shape.front());
    const std::size_t row_bytes = a.size() / rows, head = rows / static_cast<std::size_t>(heads);
    REQUIRE(a.size() == b.size());
    for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h) {
      for (std::size_t i = 0; i < head / 2; ++i) {
        for (std::size_t p = 0; p < 2; ++p) {
          const std::size_t to = h * head + 2 * i + p, from = h * head + p * (head / 2) + i;
          REQUIRE(b.substr(to * row_bytes, row_bytes) == a.substr(from * row_bytes, row_bytes));
        }
      }
    }
  };
  check_rows("model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight", 4);
  check_rows("model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight", 2);
  CHECK(test::bytes_of_tensor(*original, *original->find("model.layers.1.self_attn.v_proj.weight")) ==
        test::bytes_of_tensor(*file, *file->find("blk.1.attn_v.weight")));

  const Comparison same = compare(*original, *file, serial_executor());
  CHECK(same.missing.empty());
  CHECK(same.extra.empty());
  CHECK(same.total.error_sq == 0);
  CHECK(same.tensors.size() == original->tensors().size());
}

TEST_CASE("gguf: architectures that do not interleave keep the order of rows") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.config.set("model_type", "qwen2");
  folder.biases = true;
  const auto original = open_checkpoint(folder.write(dir / "model"));
  const auto file = written(dir / "model", kCopy, dir / "m.gguf");
  CHECK(test::bytes_of_tensor(*original, *original->find("model.layers.0.self_attn.q_proj.weight")) ==
        test::bytes_of_tensor(*file, *file->find("blk.0.attn_q.weight")));
  CHECK(*find_string(file->metadata(), "general.architecture") == "qwen2");
  CHECK(compare(*original, *file, serial_executor()).total.error_sq == 0);
}

TEST_CASE("gguf: encoded rows are those of the encoded original, and reading undoes their order") {
  const test::TempDir dir;
  const auto original = open_checkpoint(LlamaFolder().write(dir / "model"));
  const auto file = written(dir / "model", recipe("q4_k"), dir / "m.gguf");
  const Comparison difference = compare(*original, *file, serial_executor());
  CHECK(difference.missing.empty());
  CHECK(difference.extra.empty());
  int quantized = 0;
  const Tensor q = original->read(*original->find("model.layers.0.self_attn.q_proj.weight"));
  for (const TensorComparison& tensor : difference.tensors) {
    quantized += tensor.quantized ? 1 : 0;
    if (tensor.name != "model.layers.0.self_attn.q_proj.weight") continue;
    const QuantizedTensor expected = quantize(q.view(), parse_spec("q4_k"), SearchOptions{});
    const Tensor decoded = dequantize(expected);
    double error = 0;
    const auto y = decoded.view().as<float>();
    const auto x = q.view().as<std::uint16_t>();
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::uint32_t bits = std::uint32_t{x[i]} << 16;
      float value = 0;
      std::memcpy(&value, &bits, sizeof value);
      error += (static_cast<double>(y[i]) - value) * (static_cast<double>(y[i]) - value);
    }
    CHECK(tensor.error.error_sq == doctest::Approx(error).epsilon(1e-6));
  }
  CHECK(quantized == 14);
  CHECK(validate(*file, serial_executor()).findings.empty());
}

TEST_CASE("gguf: config.json becomes key-values of their types") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.config.set("_name_or_path", "some-one/Tiny-Llama");
  folder.config.set("head_dim", 64);
  const auto file = written(folder.write(dir / "model"), recipe("q8_0"), dir / "m.gguf");
  const std::vector<StoredValue> values = formats::read_gguf_values(dir / "m.gguf", {});
  const auto check = [&](const StoredValue& expected) {
    CAPTURE(expected.key);
    const StoredValue* const found = formats::find_value(values, expected.key);
    REQUIRE(found != nullptr);
    CHECK(*found == expected);
  };
  using formats::gguf_value;
  check(gguf_value("general.architecture", std::string_view("llama")));
  check(gguf_value("general.name", std::string_view("Tiny-Llama")));
  check(gguf_value("general.file_type", 7u));
  check(gguf_value("general.quantization_version", 2u));
  check(gguf_value("llama.block_count", 2u));
  check(gguf_value("llama.context_length", 128u));
  check(gguf_value("llama.embedding_length", 256u));
  check(gguf_value("llama.feed_forward_length", 512u));
  check(gguf_value("llama.attention.head_count", 4u));
  check(gguf_value("llama.attention.head_count_kv", 2u));
  check(gguf_value("llama.attention.layer_norm_rms_epsilon", 1e-5f));
  check(gguf_value("llama.attention.key_length", 64u));
  check(gguf_value("llama.rope.freq_base", 500000.0f));
  check(gguf_value("llama.rope.dimension_count", 64u));
  check(gguf_value("llama.vocab_size", 40u));
  written(dir / "model", kCopy, dir / "copy.gguf");
  const std::vector<StoredValue> copied = formats::read_gguf_values(dir / "copy.gguf", {});
  CHECK(formats::find_value(copied, "general.quantization_version") == nullptr);
  CHECK(*formats::find_value(copied, "general.file_type") == gguf_value("general.file_type", 32u));
}

TEST_CASE("gguf: what is missing or wrong in config.json is named") {
  for (const char* key : {"num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "vocab_size",
                          "max_position_embeddings", "rms_norm_eps"}) {
    LlamaFolder folder;
    folder.config.set(key, nullptr);
    const std::string message = refusal(folder);
    CAPTURE(message);
    CHECK(has(message, "config.json"));
    CHECK(has(message, std::string(key) + " is missing"));
  }
  LlamaFolder folder;
  folder.config.set("num_key_value_heads", 3);
  CHECK(has(refusal(folder), "a divisor of num_attention_heads"));
  folder = {};
  folder.config.set("hidden_size", "wide");
  CHECK(has(refusal(folder), "a whole number"));
  folder = {};
  folder.config.set("num_attention_heads", 8);
  folder.config.set("num_key_value_heads", 8);
  CHECK(has(refusal(folder), "self_attn.k_proj.weight"));
  folder = {};
  folder.config.set("head_dim", 1 << 20);
  CHECK(has(refusal(folder), "head_dim"));
  folder = {};
  folder.head_dim = 32;
  folder.config.set("head_dim", 32);
  CHECK(refusal(folder) == "no error");
  folder.config.set("model_type", "qwen2");
  CHECK(has(refusal(folder), "64, hidden_size by num_attention_heads"));
  folder = {};
  folder.config.set("rope_scaling", json::Object{{"rope_type", "longrope"}, {"factor", 2.0}});
  CHECK(has(refusal(folder), "found longrope"));
}

TEST_CASE("gguf: tensors that a model of the kind has not, or lacks, are named") {
  LlamaFolder folder;
  folder.change = [](auto& tensors) { tensors.push_back(test::sample("model.layers.0.lora_a", DType::Float32, {2})); };
  CHECK(has(refusal(folder), "tensor model.layers.0.lora_a"));
  folder.change = [](auto& tensors) {
    std::erase_if(tensors, [](const auto& t) { return t.tensor.name == "model.layers.1.mlp.up_proj.weight"; });
  };
  CHECK(has(refusal(folder), "tensor blk.1.ffn_up.weight"));
  folder.change = [](auto& tensors) {
    std::erase_if(tensors, [](const auto& t) { return t.tensor.name == "lm_head.weight"; });
  };
  CHECK(has(refusal(folder), "tensor output.weight"));
  folder.config.set("tie_word_embeddings", true);
  CHECK(refusal(folder) == "no error");
  folder.change = nullptr;
  folder.config.set("num_hidden_layers", 1);
  CHECK(has(refusal(folder), "tensor model.layers.1."));
}

TEST_CASE("gguf: a head that is tied to the embedding and buffers of angles are left out, with the reason") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.config.set("tie_word_embeddings", true);
  folder.change = [](auto& tensors) {
    tensors.push_back(test::sample("model.layers.0.self_attn.rotary_emb.inv_freq", DType::Float32, {32}));
  };
  const auto input = open_checkpoint(folder.write(dir / "model"));
  const Plan plan = plan_of(*input, recipe("q8_0"));
  CHECK(step(plan, "lm_head.weight").action == Step::Action::Drop);
  CHECK(has(step(plan, "lm_head.weight").reason, "ties it to the embedding"));
  CHECK(step(plan, "model.layers.0.self_attn.rotary_emb.inv_freq").action == Step::Action::Drop);
  const auto file = written(dir / "model", recipe("q8_0"), dir / "m.gguf");
  CHECK_FALSE(file->find("output.weight"));
  CHECK(validate(*file, serial_executor()).findings.empty());
}

TEST_CASE("gguf: Llama 3's stretched angles become a tensor of factors") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.config.set("rope_scaling", json::Object{{"rope_type", "llama3"},
                                                 {"factor", 8.0},
                                                 {"low_freq_factor", 1.0},
                                                 {"high_freq_factor", 4.0},
                                                 {"original_max_position_embeddings", 8192}});
  const auto file = written(folder.write(dir / "model"), kCopy, dir / "m.gguf");
  const Tensor factors = file->read(*file->find("rope_freqs.weight"));
  const auto values = factors.view().as<float>();
  REQUIRE(values.size() == 32);
  for (std::size_t i = 0; i < values.size(); ++i) {
    // As transformers computes them: the frequency divided by what it becomes.
    const double frequency = 1 / std::pow(500000.0, 2.0 * static_cast<double>(i) / 64), wave = 2 * M_PI / frequency;
    const double smooth = (8192 / wave - 1) / 3;
    const double expected = wave < 2048 ? 1 : wave > 8192 ? 8 : 1 / ((1 - smooth) / 8 + smooth);
    CHECK(values[i] == doctest::Approx(expected).epsilon(1e-6));
  }
  CHECK(values.front() == 1);
  CHECK(values.back() == 8);
}

TEST_CASE("gguf: metadata that have no place in the file are named") {
  const TempDir dir;
  LlamaFolder().write(dir / "model");
  test::write_checkpoint(dir / "model" / "model.safetensors", "safetensors", LlamaFolder().tensors(),
                         {{"format", std::string("pt")}, {"trained_by", std::string("me")}}, {.overwrite = true});
  const auto input = open_checkpoint(dir / "model");
  const Plan plan = plan_of(*input, kCopy);
  const auto named = [&](std::string_view what) { return std::ranges::count(plan.left_out, what, &LeftOut::what); };
  CHECK(named("metadata trained_by") == 1);
  CHECK(named("metadata format") == 0);
}

TEST_CASE("gguf: models that are not known keep their names, and the plan says why") {
  const test::TempDir dir;
  const auto network = open_checkpoint(test::data_dir() / "cnn/cnn.pt");
  const Plan plan = plan_of(*network, kCopy);
  CHECK(std::ranges::any_of(plan.notes, [](const std::string& note) { return has(note, "tensors keep their names"); }));
  CHECK(plan.loads_in.empty());
  const auto file = written(test::data_dir() / "cnn/cnn.pt", kCopy, dir / "m.gguf");
  CHECK(names_of(*file) == names_of(*network));
  CHECK(compare(*network, *file, serial_executor()).total.error_sq == 0);
}
