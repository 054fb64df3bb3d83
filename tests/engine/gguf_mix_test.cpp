// llama.cpp's mixes of types.
#include <doctest/doctest.h>

#include <map>

#include "src/gguf/mix.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using namespace mq::gguf;

namespace {

// The tensors of a Llama model, in llama.cpp's names.
struct Tensors {
  std::vector<std::string> names;
  std::vector<Shape> shapes;

  void add(std::string name, Shape shape) {
    names.push_back(std::move(name));
    shapes.push_back(std::move(shape));
  }
  std::vector<MixInput> inputs() const {
    std::vector<MixInput> all;
    for (std::size_t i = 0; i < names.size(); ++i) all.push_back({names[i], shapes[i]});
    return all;
  }
};

Tensors llama(std::int64_t blocks, bool tied, std::int64_t width = 256, std::int64_t inner = 512) {
  Tensors tensors;
  tensors.add("token_embd.weight", {32, width});
  tensors.add("output_norm.weight", {width});
  if (!tied) tensors.add("output.weight", {32, width});
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    tensors.add(block + "attn_norm.weight", {width});
    tensors.add(block + "ffn_norm.weight", {width});
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
      tensors.add(block + name + ".weight", {width, width});
    }
    tensors.add(block + "ffn_gate.weight", {inner, width});
    tensors.add(block + "ffn_up.weight", {inner, width});
    tensors.add(block + "ffn_down.weight", {width, inner});
  }
  return tensors;
}

using Counts = std::map<DType, int>;

Counts count(const char* mix, const GgufModel& model, const Tensors& tensors) {
  Counts counts;
  for (const MixChoice& choice : choose_mix(mix, model, tensors.inputs())) {
    if (choice.dtype) ++counts[*choice.dtype];
  }
  return counts;
}

DType type_in(const char* mix, const GgufModel& model, const Tensors& tensors, std::string_view name) {
  const std::vector<MixChoice> choices = choose_mix(mix, model, tensors.inputs());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (tensors.names[i] == name) return choices[i].dtype.value();
  }
  FAIL("no tensor " << name);
  return DType::Bool;
}

}  // namespace

TEST_CASE("mix: a Llama of 32 blocks gets the numbers of types that llama.cpp prints for Llama 2 7B") {
  const GgufModel model{.architecture = "llama", .blocks = 32, .heads = 32, .kv_heads = 32};
  const Tensors tensors = llama(32, false);
  CHECK(count("q2_k", model, tensors) == Counts{{DType::Q2_K, 65 + 64}, {DType::Q3_K, 96}, {DType::Q6_K, 1}});
  CHECK(count("q3_k_s", model, tensors) == Counts{{DType::Q3_K, 225}, {DType::Q6_K, 1}});
  CHECK(count("q3_k_m", model, tensors) ==
        Counts{{DType::Q3_K, 129}, {DType::Q4_K, 92}, {DType::Q5_K, 4}, {DType::Q6_K, 1}});
  CHECK(count("q3_k_l", model, tensors) == Counts{{DType::Q3_K, 129}, {DType::Q5_K, 96}, {DType::Q6_K, 1}});
  CHECK(count("q4_k_s", model, tensors) == Counts{{DType::Q4_K, 217}, {DType::Q5_K, 8}, {DType::Q6_K, 1}});
  CHECK(count("q4_k_m", model, tensors) == Counts{{DType::Q4_K, 193}, {DType::Q6_K, 33}});
  CHECK(count("q5_k_s", model, tensors) == Counts{{DType::Q5_K, 225}, {DType::Q6_K, 1}});
  CHECK(count("q5_k_m", model, tensors) == Counts{{DType::Q5_K, 193}, {DType::Q6_K, 33}});
  CHECK(count("q6_k", model, tensors) == Counts{{DType::Q6_K, 226}});
  CHECK(count("q8_0", model, tensors) == Counts{{DType::Q8_0, 226}});
  CHECK(count("q4_0", model, tensors) == Counts{{DType::Q4_0, 225}, {DType::Q6_K, 1}});
  CHECK(count("bf16", model, tensors) == Counts{{DType::BFloat16, 226}});
}

TEST_CASE("mix: blocks with more bits are the first and last eighth, and one in three between") {
  const GgufModel model{.architecture = "llama", .blocks = 32, .heads = 32, .kv_heads = 32};
  const Tensors tensors = llama(32, false);
  for (int block = 0; block < 32; ++block) {
    CAPTURE(block);
    const bool more = block < 4 || block >= 28 || (block - 4) % 3 == 2;
    const std::string name = "blk." + std::to_string(block) + ".ffn_down.weight";
    CHECK(type_in("q4_k_m", model, tensors, name) == (more ? DType::Q6_K : DType::Q4_K));
  }
}

TEST_CASE("mix: a tied embedding is the output") {
  const GgufModel model{.architecture = "llama", .blocks = 2, .heads = 4, .kv_heads = 4};
  CHECK(type_in("q4_k_m", model, llama(2, true), "token_embd.weight") == DType::Q6_K);
  CHECK(type_in("q4_k_m", model, llama(2, false), "token_embd.weight") == DType::Q4_K);
  CHECK(type_in("q8_0", model, llama(2, true), "token_embd.weight") == DType::Q8_0);
}

TEST_CASE("mix: heads that share keys, eight experts and 80 blocks have rules of their own") {
  const Tensors tensors = llama(2, false);
  const GgufModel grouped{.architecture = "llama", .blocks = 2, .heads = 32, .kv_heads = 8};
  CHECK(type_in("q2_k", grouped, tensors, "blk.1.attn_v.weight") == DType::Q4_K);
  CHECK(type_in("iq4_xs", grouped, tensors, "blk.1.attn_v.weight") == DType::Q5_K);
  const GgufModel experts{.architecture = "llama", .blocks = 2, .heads = 32, .kv_heads = 8, .experts = 8};
  CHECK(type_in("q4_k_m", experts, tensors, "blk.1.attn_v.weight") == DType::Q8_0);
  CHECK(type_in("q4_k_m", experts, tensors, "blk.1.attn_k.weight") == DType::Q8_0);
  CHECK(type_in("q4_k_m", experts, tensors, "blk.1.attn_output.weight") == DType::Q5_K);
  CHECK(type_in("q5_k_m", experts, tensors, "blk.1.attn_output.weight") == DType::Q5_K);
  const GgufModel large{.architecture = "llama", .blocks = 80, .heads = 64, .kv_heads = 8};
  CHECK(type_in("q4_k_s", large, llama(80, false), "blk.40.attn_v.weight") == DType::Q5_K);
}

TEST_CASE("mix: blocks that do not divide a row give way to smaller ones, then to float16, and say so") {
  const GgufModel model{.architecture = "llama", .blocks = 1, .heads = 4, .kv_heads = 4};
  const Tensors narrow = llama(1, false, 96, 80);
  const struct {
    const char* mix;
    DType instead;
  } cases[] = {{"q2_k", DType::Q4_0},   {"q3_k_s", DType::Q4_0}, {"q4_k_s", DType::Q5_0},
               {"q5_k_s", DType::Q5_1}, {"q6_k", DType::Q8_0},   {"iq4_xs", DType::IQ4_NL}};
  for (const auto& c : cases) {
    const char* const mix = c.mix;
    CAPTURE(mix);
    CHECK(type_in(mix, model, narrow, "blk.0.ffn_up.weight") == c.instead);
    CHECK(type_in(mix, model, narrow, "output.weight") == DType::Q8_0);
    CHECK(type_in(mix, model, narrow, "blk.0.ffn_down.weight") == DType::Float16);
  }
  const std::vector<MixChoice> choices = choose_mix("q6_k", model, narrow.inputs());
  CHECK(choices.back().reason == "q6_k, q8_0 instead: 256 does not divide 80, float16 instead: 32 does not divide 80");
}

TEST_CASE("mix: what llama.cpp does not quantize is kept, with the reason") {
  Tensors tensors;
  tensors.add("blk.0.ffn_gate_inp.weight", {8, 256});
  tensors.add("blk.0.attn_q.bias", {256});
  tensors.add("blk.0.attn_q.scale", {4, 256});
  for (const MixChoice& choice : choose_mix("q4_k_m", {.blocks = 1}, tensors.inputs())) {
    CHECK_FALSE(choice.dtype);
    CHECK(choice.reason.starts_with("kept: "));
  }
}

TEST_CASE("mix: names that do not exist are refused with those that do") {
  const std::string message = test::message_of([] { choose_mix("q4_k", {}, {}); });
  CHECK(message.find("q4_k_m") != std::string::npos);
  CHECK(gguf_mixes().size() == 18);
  CHECK(file_type_of_mix("q4_k_m") == 15);
  CHECK(file_type_of(DType::Q4_K) == 14);
  CHECK(file_type_of(DType::Float32) == 0);
}
