// Budgets: what candidates are measured to cost and lose, and what a plan makes of it.
#include "mq/budget.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;
using mq::test::message_of;
using mq::test::weights;

namespace {

std::vector<float> scaled_weights(std::size_t n, std::uint32_t seed, float factor) {
  std::vector<float> out = weights(n, seed);
  for (float& value : out) value *= factor;
  return out;
}

// Tensors whose weights differ in size, of which some are joined by runtimes, some have rules, one has odd rows.
MemoryCheckpoint model() {
  MemoryCheckpoint c;
  c.add("l.0.self_attn.q_proj.weight", DType::Float32, {64, 256}, scaled_weights(64 * 256, 1, 4));
  c.add("l.0.self_attn.k_proj.weight", DType::Float32, {32, 256}, scaled_weights(32 * 256, 2, 0.1f));
  c.add("l.0.self_attn.v_proj.weight", DType::Float32, {32, 256}, scaled_weights(32 * 256, 3, 0.1f));
  c.add("l.0.self_attn.o_proj.weight", DType::Float32, {256, 64}, scaled_weights(64 * 256, 4, 1));
  c.add("l.0.mlp.up_proj.weight", DType::Float32, {512, 256}, scaled_weights(512 * 256, 5, 0.5f));
  c.add("l.0.mlp.down_proj.weight", DType::Float32, {256, 512}, scaled_weights(512 * 256, 6, 2));
  c.add("l.0.special_proj.weight", DType::Float32, {64, 256}, scaled_weights(64 * 256, 7, 100));
  c.add("norm.weight", DType::Float32, {256}, weights(256, 8));
  return c;
}

Recipe recipe(const char* budget) {
  Recipe r;
  r.budget = parse_budget(budget);
  r.rules = {parse_rule("*special*=int8")};
  r.candidates = {parse_candidate("int2:g64"), parse_candidate("int4:g64"), parse_candidate("int4:g32"),
                  parse_candidate("int8")};
  return r;
}

struct Planned {
  Analysis analysis;
  Plan plan;
};

Planned plan_of(const Checkpoint& c, const Recipe& r) {
  Planned out;
  out.analysis.rates = measure_rates(c, describe(c), r, out.analysis, serial_executor());
  out.plan = make_plan(describe(c), r, out.analysis);
  return out;
}

const Step& step(const Plan& plan, std::string_view part) {
  for (const Step& s : plan.steps) {
    if (s.id.find(part) != std::string_view::npos) return s;
  }
  FAIL("no such step");
  return plan.steps[0];
}

struct Sums {
  double bytes = 0, numel = 0, error = 0, power = 0;
};

// Of the tensors that the budget decides about, from a real run.
Sums sums_of(const Checkpoint& c, const Plan& plan) {
  CountingWriter writer;
  const Report report = convert(c, plan, writer, serial_executor());
  Sums sums;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (!plan.steps[i].by_scheme) continue;
    sums.bytes += static_cast<double>(plan.steps[i].output_bytes);
    sums.numel += static_cast<double>(plan.source.tensors[i].info.numel());
    sums.error += report.steps[i].error.error_sq;
    sums.power += report.steps[i].error.x_sq;
  }
  return sums;
}

}  // namespace

TEST_CASE("budgets read back from their text") {
  for (const Budget& budget : {Budget{Budget::Kind::BitsPerWeight, 4.5}, Budget{Budget::Kind::Bytes, 9e11},
                               Budget{Budget::Kind::Sqnr, -3.25}, Budget{Budget::Kind::BitsPerWeight, 0.1 + 0.2}}) {
    CHECK(parse_budget(to_string(budget)) == budget);
  }
  CHECK(to_string(Budget{Budget::Kind::Bytes, 9e11}) == "900000000000B");
  for (const char* text : {"", "4.5", "bpw", "0bpw", "-1bpw", "nanbpw", "infdB", "4.5 bpw", "4.5bpw "}) {
    CAPTURE(std::string(text));
    CHECK(message_of([&] { parse_budget(text); }).find("bad budget") != std::string::npos);
  }
  CHECK(message_of([] { parse_candidate("bf16"); }).find("no candidate") != std::string::npos);
}

TEST_CASE("a budget of bits: kept to, nearly used up, and better than any single candidate that fits") {
  const MemoryCheckpoint c = model();
  const Planned planned = plan_of(c, recipe("5bpw"));
  const Sums mixed = sums_of(c, planned.plan);
  CHECK(8 * mixed.bytes / mixed.numel <= 5);
  CHECK(8 * mixed.bytes / mixed.numel > 4.6);
  CHECK(planned.plan.notes.back().find("the best choice there is") != std::string::npos);
  Recipe uniform = recipe("5bpw");
  uniform.budget.reset();
  uniform.scheme = parse_spec("int4:g64");
  const Sums single = sums_of(c, make_plan(describe(c), uniform));
  CHECK(8 * single.bytes / single.numel <= 5);
  CHECK(mixed.error < 0.8 * single.error);
  // What was measured is what the run does.
  double error = 0;
  for (const auto& [name, points] : planned.analysis.rates.tensors) {
    const Step& s = step(planned.plan, name);
    for (const RatePoint& point : points) error += point.bytes == s.output_bytes ? point.error : 0;
  }
  CHECK(error == doctest::Approx(mixed.error).epsilon(1e-12));
}

TEST_CASE("rules decide before a budget does, and what runtimes join gets one encoding") {
  const MemoryCheckpoint c = model();
  const Planned planned = plan_of(c, recipe("5bpw"));
  CHECK(to_string(*step(planned.plan, "special").spec) == to_string(parse_spec("int8")));
  CHECK(planned.analysis.rates.tensors.count("l.0.special_proj.weight") == 0);
  CHECK(planned.analysis.rates.tensors.count("norm.weight") == 0);
  const QuantSpec query = *step(planned.plan, "q_proj").spec;
  CHECK(query == *step(planned.plan, "k_proj").spec);
  CHECK(query == *step(planned.plan, "v_proj").spec);
  CHECK(query.bits > step(planned.plan, "up_proj").spec->bits);
  CHECK(step(planned.plan, "up_proj").reason == "linear, within 5.000 bits per weight");
}

TEST_CASE("a budget of bytes is one of all tensors, one of decibels takes the fewest bytes") {
  const MemoryCheckpoint c = model();
  const Planned by_bytes = plan_of(c, recipe("250000B"));
  CHECK(by_bytes.plan.output_bytes <= 250000);
  CHECK(by_bytes.plan.output_bytes > 230000);
  const Planned by_error = plan_of(c, recipe("21dB"));
  const Sums sums = sums_of(c, by_error.plan);
  CHECK(sums.power / sums.error >= 125.89);
  CHECK(sums.power / sums.error < 150);
  const Planned more = plan_of(c, recipe("25dB"));
  CHECK(more.plan.output_bytes > by_error.plan.output_bytes);
}

TEST_CASE("a candidate that does not divide a tensor's rows is not for that tensor") {
  MemoryCheckpoint c;
  c.add("a.proj.weight", DType::Float32, {64, 96}, weights(64 * 96, 1));
  c.add("b.proj.weight", DType::Float32, {64, 128}, weights(64 * 128, 2));
  Recipe r = recipe("6bpw");
  r.rules.clear();
  const Planned planned = plan_of(c, r);
  CHECK(planned.analysis.rates.tensors.at("a.proj.weight").size() == 2);  // int4:g32 and int8
  CHECK(planned.analysis.rates.tensors.at("b.proj.weight").size() == 4);
  r.candidates = {parse_candidate("int4:g64")};
  CHECK(message_of([&] { plan_of(c, r); }).find("a.proj.weight: no candidate fits the rows") != std::string::npos);
  r.if_indivisible = IfIndivisible::Keep;
  const Planned kept = plan_of(c, r);
  CHECK(step(kept.plan, "a.proj").action == Step::Action::Copy);
  CHECK(kept.analysis.rates.other_bytes == 64 * 96 * 4);
  CHECK(step(kept.plan, "b.proj").spec->bits == 4);
}

TEST_CASE("what a budget cannot be kept with is said, and what could") {
  const MemoryCheckpoint c = model();
  const auto message = [&](const Recipe& r) { return message_of([&] { plan_of(c, r); }); };
  CHECK(message(recipe("2bpw")).find("expected 2.000 bits per weight, found 2.5") != std::string::npos);
  CHECK(message(recipe("90dB")).find("dB at most") != std::string::npos);
  CHECK(message(recipe("1000B")).find("bytes at least") != std::string::npos);
  Recipe nothing = recipe("5bpw");
  nothing.exclude = {"*"};
  nothing.rules.clear();
  CHECK(message(nothing).find("no tensor that the budget could decide about") != std::string::npos);
  CHECK(message_of([&] { make_plan(describe(c), recipe("5bpw")); }).find("measure_rates()") != std::string::npos);
}

TEST_CASE("threads do not change what is measured; importance does") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("5bpw");
  const Source source = describe(c);
  const Rates serial = measure_rates(c, source, r, {}, serial_executor());
  const auto threads = make_thread_executor(7);
  CHECK(measure_rates(c, source, r, {}, *threads) == serial);
  r.objective = Objective::Importance;
  Analysis analysis;
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.info.shape.size() < 2) continue;
    const float factor = tensor.info.name.find("up_proj") != std::string_view::npos ? 100.0f : 1.0f;
    analysis.importance[tensor.info.name.str()] =
        std::make_shared<const std::vector<float>>(static_cast<std::size_t>(tensor.info.shape[1]), factor);
  }
  const Rates weighed = measure_rates(c, source, r, analysis, serial_executor());
  const auto error = [](const Rates& rates, const char* name) { return rates.tensors.at(name).at(1).error; };
  CHECK(error(weighed, "l.0.mlp.down_proj.weight") ==
        doctest::Approx(error(serial, "l.0.mlp.down_proj.weight")).epsilon(1e-5));
  CHECK(error(weighed, "l.0.mlp.up_proj.weight") ==
        doctest::Approx(100 * error(serial, "l.0.mlp.up_proj.weight")).epsilon(1e-5));
}

TEST_CASE("sensitivity moves bits to the tensors that it names") {
  const MemoryCheckpoint c = model();
  Recipe r = recipe("5bpw");
  const int before = step(plan_of(c, r).plan, "up_proj").spec->bits;
  r.weigh_tensors = true;
  MemoryCheckpoint statistics;
  for (const TensorInfo& info : c.tensors()) {
    const float value = info.name.find("up_proj") != std::string_view::npos ? 1e6f : 1.0f;
    statistics.add(info.name.str(), DType::Float32, {1}, std::vector<float>{value});
  }
  Analysis analysis;
  add_sensitivity(analysis, statistics);
  analysis.rates = measure_rates(c, describe(c), r, analysis, serial_executor());
  const Plan plan = make_plan(describe(c), r, analysis);
  CHECK(step(plan, "up_proj").spec->bits > before);
  analysis.sensitivity.erase("l.0.mlp.up_proj.weight");
  const auto measure = [&] { measure_rates(c, describe(c), r, analysis, serial_executor()); };
  CHECK(message_of(measure).find("up_proj.weight: there is no sensitivity") != std::string::npos);
  for (const float bad : {-1.0f, std::numeric_limits<float>::infinity()}) {
    MemoryCheckpoint wrong;
    wrong.add("a", DType::Float32, {1}, std::vector<float>{bad});
    CHECK(message_of([&] { add_sensitivity(analysis, wrong); }).find("is no sensitivity") != std::string::npos);
  }
  CHECK(message_of([&] { add_sensitivity(analysis, c); }).find("expected one number") != std::string::npos);
}
