#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::MemoryCheckpoint;
using mq::test::weights;

namespace {

// Adds a float tensor of a shape.
void add(MemoryCheckpoint& checkpoint, const std::string& name, Shape shape, std::uint64_t storage = 0) {
  const auto n = static_cast<std::size_t>(numel(shape));
  checkpoint.add(name, DType::Float32, std::move(shape), weights(n), storage);
}

MemoryCheckpoint language_model() {
  MemoryCheckpoint c;
  add(c, "model.embed_tokens.weight", {64, 128});
  add(c, "model.layers.0.input_layernorm.weight", {128});
  add(c, "model.layers.0.self_attn.q_proj.weight", {128, 128});
  add(c, "model.layers.0.self_attn.q_proj.bias", {128});
  add(c, "model.layers.0.mlp.gate.weight", {8, 128});
  add(c, "model.layers.0.mlp.experts.down_proj", {8, 128, 128});
  add(c, "model.layers.0.mlp.up_proj.weight", {256, 128});
  add(c, "lm_head.weight", {64, 128});
  c.add<std::int64_t>("steps", DType::Int64, {}, {7});
  return c;
}

Recipe recipe(const char* scheme) {
  Recipe r;
  r.scheme = parse_spec(scheme);
  return r;
}

const Step& step(const Plan& plan, std::string_view id) {
  for (const Step& s : plan.steps) {
    if (s.id == id) return s;
  }
  throw std::runtime_error("no step " + std::string(id));
}

ErrorDetails usage_error(const Source& source, const Recipe& r) {
  try {
    make_plan(source, r);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::Usage);
    return e.details();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("defaults: linear layers and experts are quantized, everything delicate is kept with its reason") {
  const MemoryCheckpoint c = language_model();
  const Plan plan = make_plan(describe(c), recipe("int8"));
  REQUIRE(plan.steps.size() == c.tensors().size());
  CHECK(step(plan, "model.layers.0.self_attn.q_proj.weight").quantizes());
  CHECK(step(plan, "model.layers.0.mlp.up_proj.weight").quantizes());
  CHECK(step(plan, "model.layers.0.mlp.experts.down_proj").kind == TensorKind::Experts);
  CHECK(step(plan, "model.layers.0.mlp.experts.down_proj").quantizes());
  CHECK(step(plan, "model.embed_tokens.weight").reason == "kept: embedding");
  CHECK(step(plan, "lm_head.weight").reason == "kept: head");
  CHECK(step(plan, "model.layers.0.mlp.gate.weight").reason == "kept: router");
  CHECK(step(plan, "model.layers.0.input_layernorm.weight").reason == "kept: norm");
  CHECK(step(plan, "model.layers.0.self_attn.q_proj.bias").reason == "kept: bias");
  CHECK(step(plan, "steps").reason == "kept: int64");
}

TEST_CASE("kinds carry their axis: transposed convolutions on 1, GPT-2 projections as their transpose") {
  MemoryCheckpoint c;
  add(c, "up.deconv1.weight", {16, 32, 3, 3});
  add(c, "h.0.attn.c_attn.weight", {64, 192});
  add(c, "h.0.mlp.c_fc.weight", {64, 256});
  add(c, "rnn.weight_ih_l0", {128, 32});
  add(c, "attn.in_proj_weight", {96, 32});
  add(c, "conv.weight", {32, 16, 3});
  const Plan plan = make_plan(describe(c), recipe("int8"));
  CHECK(to_string(*step(plan, "up.deconv1.weight").spec) == "int8:channel=1:sym:narrow");
  CHECK(step(plan, "h.0.attn.c_attn.weight").kind == TensorKind::Conv1D);
  CHECK(step(plan, "h.0.mlp.c_fc.weight").transposes());
  CHECK(step(plan, "rnn.weight_ih_l0").kind == TensorKind::Recurrent);
  CHECK(step(plan, "attn.in_proj_weight").kind == TensorKind::Linear);
  CHECK(step(plan, "conv.weight").kind == TensorKind::Conv);
}

TEST_CASE("a model with GPT-2's names but linear layers is not transposed") {
  MemoryCheckpoint c;
  add(c, "h.0.attn.c_attn.weight", {192, 64});
  add(c, "h.0.mlp.c_fc.weight", {256, 64});
  const Plan plan = make_plan(describe(c), recipe("int8"));
  CHECK(step(plan, "h.0.mlp.c_fc.weight").kind == TensorKind::Linear);
  CHECK(step(plan, "h.0.mlp.c_fc.weight").transforms.empty());
}

TEST_CASE("precedence: exclude before the first matching rule before include before defaults") {
  const MemoryCheckpoint c = language_model();
  Recipe r = recipe("int8");
  r.exclude = {"*up_proj*"};
  r.rules = {parse_rule("re:proj\\.weight$=int4:g32"), parse_rule("kind:linear=int4:g64:asym")};
  r.include = {"kind:embedding", "*q_proj.weight"};
  const Plan plan = make_plan(describe(c), r);
  CHECK_FALSE(step(plan, "model.layers.0.mlp.up_proj.weight").quantizes());
  CHECK(to_string(*step(plan, "model.layers.0.self_attn.q_proj.weight").spec) == "int4:g32:sym:full");
  CHECK(to_string(*step(plan, "model.embed_tokens.weight").spec) == "int8:channel=0:sym:narrow");
}

TEST_CASE("a rule may keep, and only restricts") {
  const MemoryCheckpoint c = language_model();
  Recipe r = recipe("int8");
  r.only = {"*layers.0*"};
  r.rules = {parse_rule("*experts*=keep")};
  const Plan plan = make_plan(describe(c), r);
  CHECK(step(plan, "model.layers.0.mlp.experts.down_proj").reason == "kept: --rule *experts*");
  CHECK(step(plan, "lm_head.weight").reason == "kept: not in --only");
  CHECK(step(plan, "model.layers.0.mlp.up_proj.weight").quantizes());
  CHECK_FALSE(step(plan, "model.layers.0.input_layernorm.weight").quantizes());
}

TEST_CASE("rules with channel=AXIS split at the right sign") {
  CHECK(to_string(*parse_rule("a*=uint8:channel=1:asym").spec) == to_string(parse_spec("uint8:channel=1:asym")));
  CHECK(parse_rule("x=y=int8:channel=1").pattern == "x=y");
  CHECK_FALSE(parse_rule("a=keep").spec.has_value());
  CHECK_THROWS_AS(parse_rule("no sign"), Error);
}

TEST_CASE("a pattern that matches nothing is an error naming option and pattern") {
  const MemoryCheckpoint c = language_model();
  const Source source = describe(c);
  for (const char* option : {"--only", "--include", "--exclude", "--rule"}) {
    Recipe r = recipe("int8");
    if (std::string_view(option) == "--only") r.only = {"nothing*"};
    if (std::string_view(option) == "--include") r.include = {"nothing*"};
    if (std::string_view(option) == "--exclude") r.exclude = {"nothing*"};
    if (std::string_view(option) == "--rule") r.rules = {parse_rule("nothing*=int4")};
    const std::string message = usage_error(source, r).message;
    CHECK(message.find("nothing*") != std::string::npos);
    CHECK(message.find(option) != std::string::npos);
  }
  Recipe r = recipe("int8");
  r.include = {"kind:linaer"};
  CHECK(usage_error(source, r).hint.find("linear") != std::string::npos);
}

TEST_CASE("a group size that does not divide lists all tensors with the sizes that fit") {
  MemoryCheckpoint c;
  add(c, "a.weight", {16, 96});
  add(c, "b.weight", {16, 256});
  add(c, "c.weight", {32, 16, 3, 3});
  const Source source = describe(c);
  const ErrorDetails details = usage_error(source, recipe("int4"));
  CHECK(details.message.find("a.weight: rows of 96 by 128, fits: 32, 16, 8 or channel") != std::string::npos);
  CHECK(details.message.find("c.weight: rows of 144") != std::string::npos);
  CHECK(details.message.find("b.weight") == std::string::npos);
  Recipe r = recipe("int4");
  r.if_indivisible = IfIndivisible::Keep;
  CHECK(step(make_plan(source, r), "a.weight").reason == "kept: 128 does not divide 96");
  r.if_indivisible = IfIndivisible::Channel;
  CHECK(to_string(*step(make_plan(source, r), "a.weight").spec) == "int4:channel=0:sym:full");
}

TEST_CASE("large float tensors of no known kind are an error above 5 % of the bytes unless allowed") {
  MemoryCheckpoint c;
  add(c, "layer.weight", {64, 64});
  add(c, "mystery.table", {64, 64});
  const Source source = describe(c);
  const ErrorDetails details = usage_error(source, recipe("int8"));
  CHECK(details.message.find("mystery.table") != std::string::npos);
  CHECK(details.message.find("50.0 %") != std::string::npos);
  Recipe r = recipe("int8");
  r.allow_unknown = true;
  CHECK(step(make_plan(source, r), "mystery.table").reason == "unknown: kept (50.0 % of all bytes)");
  r.allow_unknown = false;
  r.exclude = {"mystery*"};
  CHECK_NOTHROW(make_plan(source, r));
}

TEST_CASE("min_numel keeps small tensors, 0 keeps none") {
  MemoryCheckpoint c;
  add(c, "tiny.weight", {4, 8});
  add(c, "large.weight", {64, 64});
  Recipe r = recipe("int8");
  CHECK(step(make_plan(describe(c), r), "tiny.weight").reason == "kept: below 512 elements");
  r.min_numel = 0;
  CHECK(step(make_plan(describe(c), r), "tiny.weight").quantizes());
}

TEST_CASE("fp16 casts every float tensor, and --keep the ones that are not quantized") {
  const MemoryCheckpoint c = language_model();
  const Plan cast = make_plan(describe(c), recipe("fp16"));
  for (const Step& s : cast.steps) {
    if (s.id == "steps") continue;
    CHECK(s.action == Step::Action::Encode);
    CHECK(s.spec->element == DType::Float16);
  }
  Recipe r = recipe("int8");
  r.keep = DType::BFloat16;
  const Plan kept = make_plan(describe(c), r);
  CHECK(step(kept, "lm_head.weight").spec->element == DType::BFloat16);
  CHECK(step(kept, "steps").action == Step::Action::Copy);
}

TEST_CASE("tied tensors are written once only where config.json ties them") {
  MemoryCheckpoint c;
  add(c, "model.embed_tokens.weight", {64, 128}, 5);
  add(c, "lm_head.weight", {64, 128}, 5);
  add(c, "fc.weight", {64, 128});
  Source source = describe(c);
  const Plan twice = make_plan(source, recipe("int8"));
  CHECK(step(twice, "lm_head.weight").action == Step::Action::Copy);
  REQUIRE(twice.notes.size() == 1);
  CHECK(twice.notes[0] == "lm_head.weight: shares its bytes with model.embed_tokens.weight, written again");
  source.config = R"({"tie_word_embeddings": true})";
  const Plan once = make_plan(source, recipe("int8"));
  CHECK(step(once, "lm_head.weight").action == Step::Action::Drop);
  CHECK(step(once, "model.embed_tokens.weight").action == Step::Action::Copy);
}

TEST_CASE("outputs that would share a name are refused") {
  MemoryCheckpoint c;
  add(c, "a.weight", {64, 64});
  c.add<std::int64_t>("a.weight_scale", DType::Int64, {1}, {0});
  const ErrorDetails details = usage_error(describe(c), recipe("int8"));
  CHECK(details.tensor == "a.weight_scale");
}

TEST_CASE("int8 takes a quarter of float32, int4 an eighth, plus scales") {
  MemoryCheckpoint c;
  add(c, "a.weight", {256, 1024});
  const Plan int8 = make_plan(describe(c), recipe("int8"));
  CHECK(int8.output_bytes == 256 * 1024 + 256 * 4 + 2 * 8);
  const Plan int4 = make_plan(describe(c), recipe("int4"));
  CHECK(int4.output_bytes == 256 * 1024 / 2 + 256 * 8 * 4 + 2 * 8);
}

TEST_CASE("a combination that the layout does not hold is refused by name") {
  MemoryCheckpoint c;
  add(c, "a.weight", {256, 256});
  const ErrorDetails details = usage_error(describe(c), recipe("int8:b128x128"));
  CHECK(details.tensor == "a.weight");
  CHECK(details.message.find("compressed-tensors") != std::string::npos);
}

TEST_CASE("shards: as few as hold the steps in their order, named as loaders expect") {
  MemoryCheckpoint c;
  for (int i = 0; i < 6; ++i) add(c, "layers." + std::to_string(i) + ".weight", {64, 64});
  Recipe r = recipe("int8");
  r.format = "hf_safetensors";
  const std::int64_t step_bytes = make_plan(describe(c), r).steps[0].output_bytes;
  const auto files = [&](std::int64_t most) {
    r.max_shard_bytes = most;
    std::vector<std::string> names;
    for (const TensorInfo& tensor : make_plan(describe(c), r).layout.tensors) {
      if (names.empty() || names.back() != tensor.file) names.push_back(tensor.file);
    }
    return names;
  };
  CHECK(files(2 * step_bytes) == std::vector<std::string>{"model-00001-of-00003.safetensors",
                                                          "model-00002-of-00003.safetensors",
                                                          "model-00003-of-00003.safetensors"});
  CHECK(files(3 * step_bytes - 1) == files(2 * step_bytes));
  CHECK(files(1).size() == 6);
  CHECK(files(6 * step_bytes) == std::vector<std::string>{"model.safetensors"});
}

TEST_CASE("shards: a new one begins before its header grows beyond what readers accept") {
  MemoryCheckpoint c;
  const std::string long_name(30000, 'x');
  for (int i = 0; i < 4000; ++i) c.add<float>(long_name + std::to_string(i), DType::Float32, {1}, {0});
  Recipe r = recipe("int8");
  r.format = "hf_safetensors";
  r.limits.output_name_bytes = 1 << 20;
  const Plan plan = make_plan(describe(c), r);
  CHECK(plan.layout.tensors.front().file == "model-00001-of-00002.safetensors");
  CHECK(plan.layout.tensors.back().file == "model-00002-of-00002.safetensors");
}

TEST_CASE("shards: a single file has none") {
  MemoryCheckpoint c;
  add(c, "a.weight", {64, 64});
  Recipe r = recipe("int8");
  r.max_shard_bytes = 1000;
  CHECK_THROWS_WITH_AS(make_plan(describe(c), r),
                       doctest::Contains("a largest shard is asked for, but the output is a single file"), Error);
}

TEST_CASE("kinds: a dimension near the end of the number range is a dimension") {
  MemoryCheckpoint c;
  c.add<float>("h.0.attn.c_attn.weight", DType::Float32, {std::int64_t{1} << 62, 0}, {});
  CHECK(step(make_plan(describe(c), recipe("int8")), "h.0.attn.c_attn.weight").kind == TensorKind::Linear);
}
