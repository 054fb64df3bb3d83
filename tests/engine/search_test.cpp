// Searching for scales in a conversion: which steps do it, what it needs, what the output says of it.
#include <doctest/doctest.h>

#include <limits>

#include "mq/mq.hpp"
#include "src/json.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;
using mq::test::message_of;
using mq::test::weights;

namespace {

constexpr const char* kQuery = "layers.0.q_proj.weight";

MemoryCheckpoint model() {
  MemoryCheckpoint c;
  c.add(kQuery, DType::Float32, {64, 256}, weights(64 * 256, 1));
  c.add("layers.0.up_proj.weight", DType::Float32, {96, 128}, weights(96 * 128, 2));
  return c;
}

Recipe recipe(const char* scheme) {
  Recipe r;
  r.scheme = parse_spec(scheme);
  return r;
}

const Step& query(const Plan& plan) {
  return plan.steps[0];
}

MemoryCheckpoint statistics(const std::string& name, Shape shape, float value = 1.0f) {
  MemoryCheckpoint c;
  const auto n = static_cast<std::size_t>(numel(shape));
  c.add(name, DType::Float32, std::move(shape), std::vector<float>(n, value));
  return c;
}

}  // namespace

TEST_CASE("steps search where their encoding gains, and say why where they cannot") {
  const MemoryCheckpoint c = model();
  const Source source = describe(c);
  const struct {
    const char* scheme;
    Effort effort;
    const char* reason;
  } cases[] = {{"int4", Effort::Search, "linear"},
               {"int6", Effort::Search, "linear"},
               {"int8:g64", Effort::Search, "linear"},
               {"int8", Effort::Fast, "linear"},
               {"fp8_e4m3", Effort::Fast, "linear"},
               {"int4:tensor", Effort::Fast, "linear, not searched: its scales belong to several rows"}};
  for (const auto& wanted : cases) {
    CAPTURE(std::string(wanted.scheme));
    const Plan plan = make_plan(source, recipe(wanted.scheme));
    CHECK(query(plan).effort == wanted.effort);
    CHECK(std::string(query(plan).reason) == wanted.reason);
  }
  Recipe fast = recipe("int4");
  fast.effort = Effort::Fast;
  CHECK(query(make_plan(source, fast)).effort == Effort::Fast);
  Recipe max = recipe("int8");
  max.effort = Effort::Max;
  CHECK(query(make_plan(source, max)).effort == Effort::Max);
}

TEST_CASE("the effort reference is refused by name where there is no foreign encoder, but not for casts") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("int4");
  r.effort = Effort::Reference;
  const std::string message = message_of([&] { make_plan(describe(c), r); });
  CHECK(message.find(std::string(kQuery) + ": int4:g128") != std::string::npos);
  CHECK(message.find("has no foreign encoder to follow") != std::string::npos);
  r.scheme = parse_spec("bf16");
  CHECK(query(make_plan(describe(c), r)).effort == Effort::Fast);
}

TEST_CASE("more effort leaves less error, in files of the same size") {
  const MemoryCheckpoint c = model();
  double before = 0;
  std::int64_t bytes = 0;
  for (const Effort effort : {Effort::Fast, Effort::Search, Effort::Max}) {
    Recipe r = recipe("int3:g64");
    r.effort = effort;
    const Plan plan = make_plan(describe(c), r);
    CountingWriter writer;
    const Report report = convert(c, plan, writer, serial_executor());
    CHECK(report.total.sqnr_db() > before);
    before = report.total.sqnr_db();
    if (bytes == 0) bytes = plan.output_bytes;
    CHECK(plan.output_bytes == bytes);
    const json::Value metadata = json::parse(writer.texts.at("quantization_metadata.json"), "metadata");
    const json::Value& tensor = metadata.find("tensors")->as_array()->front();
    CHECK(*tensor.find("search")->find("effort")->as_string() == to_string(effort));
  }
}

TEST_CASE("the importance of columns is found under every name it may have") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("int4");
  r.objective = Objective::Importance;
  r.exclude = {"*up_proj*"};
  for (const char* name : {kQuery, "layers.0.q_proj.in_sq_mean", "layers.0.q_proj.weight.in_sq_mean"}) {
    Analysis analysis;
    add_importance(analysis, statistics(name, {256}));
    const Plan plan = make_plan(describe(c), r, analysis);
    REQUIRE(query(plan).importance != nullptr);
    CHECK(query(plan).importance->size() == 256);
  }
  MemoryCheckpoint sums = statistics("layers.0.q_proj.weight.in_sum2", {1, 256}, 6.0f);
  sums.add("layers.0.q_proj.weight.counts", DType::Float32, {1, 1}, std::vector<float>{4.0f});
  Analysis analysis;
  add_importance(analysis, sums);
  CHECK(query(make_plan(describe(c), r, analysis)).importance->front() == 1.5f);
}

TEST_CASE("importance in llama.cpp's names fits the same weights in Hugging Face's") {
  MemoryCheckpoint c;
  c.add("model.layers.3.self_attn.q_proj.weight", DType::Float32, {64, 256}, weights(64 * 256, 1));
  Recipe r = recipe("int4");
  r.objective = Objective::Importance;
  for (const std::int32_t count : {4, 0}) {
    MemoryCheckpoint sums = statistics("blk.3.attn_q.weight.in_sum2", {256}, 6.0f);
    sums.add("blk.3.attn_q.weight.counts", DType::Int32, {1}, std::vector<std::int32_t>{count});
    Analysis analysis;
    add_importance(analysis, sums);
    // Without a count, as the oldest files have them, sums are means already.
    CHECK(query(make_plan(describe(c), r, analysis)).importance->front() == (count == 0 ? 6.0f : 1.5f));
  }
}

TEST_CASE("the experts of a stack are searched with the mean of their importances") {
  MemoryCheckpoint c;
  c.add("model.layers.0.mlp.experts.gate_up_proj", DType::Float32, {2, 64, 128}, weights(2 * 64 * 128, 1));
  Recipe r = recipe("int4:g32");
  r.objective = Objective::Importance;
  MemoryCheckpoint sums = statistics("model.layers.0.mlp.experts.gate_up_proj.in_sum2", {2, 128}, 6.0f);
  sums.add("model.layers.0.mlp.experts.gate_up_proj.counts", DType::Float32, {1, 2}, std::vector<float>{2.0f, 0.0f});
  Analysis analysis;
  add_importance(analysis, sums);
  for (auto& [name, values] : analysis.importance) {
    if (name.ends_with(".weight")) {
      analysis.importance["model.layers.0.mlp.experts.gate_up_proj"] = values;
    }
  }
  const Plan plan = make_plan(describe(c), r, analysis);
  const Step& step = query(plan);
  REQUIRE(step.importance != nullptr);
  CHECK(step.importance->size() == 128);
  CHECK(step.importance->front() == 2.0f);  // of 6 / 2, and of 1 for an expert that no token reached
}

TEST_CASE("importance that is missing, of another size, not finite or without its counts is refused by name") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("int4");
  r.objective = Objective::Importance;
  const auto refusal = [&](const MemoryCheckpoint& given) {
    return message_of([&] {
      Analysis analysis;
      add_importance(analysis, given);
      make_plan(describe(c), r, analysis);
    });
  };
  const auto names = [](const std::string& message, std::initializer_list<const char*> parts) {
    CAPTURE(message);
    for (const char* part : parts) CHECK(message.find(part) != std::string::npos);
  };
  names(refusal(statistics(kQuery, {256})), {"layers.0.up_proj.weight", "there is no importance"});
  names(refusal(statistics(kQuery, {255})), {kQuery, "expected 256 values", "found 255"});
  names(refusal(statistics(kQuery, {256}, std::numeric_limits<float>::infinity())), {kQuery, "column 0"});
  names(refusal(statistics("layers.0.q_proj.weight.in_sum2", {256})), {".counts", "none"});
  MemoryCheckpoint integers;
  integers.add(kQuery, DType::Int32, {256}, std::vector<std::int32_t>(256, 1));
  names(refusal(integers), {kQuery, "expected a float type"});
}

TEST_CASE("importance decides the bytes, and the metadata tells which it was") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("int3:g64");
  r.objective = Objective::Importance;
  r.exclude = {"*up_proj*"};
  std::vector<std::string> digests;
  std::vector<double> errors;
  for (const float first : {1.0f, 1000.0f}) {
    std::vector<float> importance(256, 1.0f);
    for (std::size_t i = 0; i < 256; i += 16) importance[i] = first;
    MemoryCheckpoint given;
    given.add(kQuery, DType::Float32, {256}, importance);
    Analysis analysis;
    add_importance(analysis, given);
    CountingWriter writer;
    errors.push_back(convert(c, make_plan(describe(c), r, analysis), writer, serial_executor()).total.sqnr_db());
    const json::Value metadata = json::parse(writer.texts.at("quantization_metadata.json"), "metadata");
    const json::Value& tensor = metadata.find("tensors")->as_array()->front();
    digests.push_back(*tensor.find("search")->find("importance_digest")->as_string());
  }
  CHECK(digests[0] != digests[1]);
  CHECK(errors[0] > errors[1]);
}
