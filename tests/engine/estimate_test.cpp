// What a plan says about its cost holds when it is run.
#include "mq/estimate.hpp"

#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using namespace mq::test;
using mq::test::MemoryCheckpoint;

namespace {

// Tensors of zeros that take no memory, and a writer that keeps nothing: what is allocated is the engine's.
class ZeroCheckpoint final : public Checkpoint {
 public:
  explicit ZeroCheckpoint(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {}

  std::string_view format() const noexcept override { return "zeros"; }
  const std::filesystem::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  void read(std::size_t, std::int64_t, std::int64_t, std::span<std::byte> out) const override {
    std::fill(out.begin(), out.end(), std::byte{0});
  }
  using Checkpoint::read;

 private:
  std::filesystem::path path_ = "zeros";
  std::vector<TensorInfo> tensors_;
  Metadata metadata_;
};

class ForgetfulWriter final : public CheckpointWriter {
 public:
  void begin(const Layout&) override {}
  void write(std::size_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::span<const std::byte>) override {
  }
  void add_text(std::string_view, std::string content) override {
    text_bytes = static_cast<std::int64_t>(content.size());
  }
  void finish() override {}
  std::int64_t size_bytes() const noexcept override { return 0; }

  std::int64_t text_bytes = 0;
};

Recipe recipe(const char* scheme) {
  Recipe r;
  r.scheme = parse_spec(scheme);
  r.min_numel = 0;
  r.if_indivisible = IfIndivisible::Channel;
  return r;
}

}  // namespace

TEST_CASE("a conversion stays below the memory that its plan is bounded by, whatever the shapes and threads") {
  const std::vector<ZeroCheckpoint> checkpoints = {
      ZeroCheckpoint({{.name = "small.weight", .shape = {16, 16}}}),
      ZeroCheckpoint({{.name = "large.weight", .shape = {4096, 4096}},
                      {.name = "half.weight", .dtype = DType::Float16, .shape = {1024, 28672}},
                      {.name = "h.0.attn.c_attn.weight", .shape = {1024, 3072}}}),
      ZeroCheckpoint({{.name = "wide.weight", .shape = {40, 65536}}, {.name = "wider.weight", .shape = {2, 3 << 20}}}),
      ZeroCheckpoint({{.name = "mlp.experts.down_proj", .dtype = DType::BFloat16, .shape = {8, 512, 1024}}}),
  };
  for (const ZeroCheckpoint& checkpoint : checkpoints) {
    CAPTURE(checkpoint.tensors()[0].name);
    for (const char* scheme : {"int8", "int4:g32:asym", "int8:tensor", "uint8:channel=1:asym", "fp8_e4m3", "fp16"}) {
      CAPTURE(scheme);
      for (const int threads : {1, 5}) {
        const auto executor = make_thread_executor(threads);
        const PeakAllocation peak;
        const Plan plan = make_plan(describe(checkpoint), recipe(scheme));
        ForgetfulWriter writer;
        convert(checkpoint, plan, writer, *executor);
        const std::int64_t bound = memory_bound(plan).at(threads);
        CHECK(static_cast<std::int64_t>(peak.bytes()) < bound);
        CHECK(bound < (std::int64_t{1} << 30));
      }
    }
  }
}

TEST_CASE("many small tensors are bounded too, and the bound grows with them and with threads") {
  std::vector<TensorInfo> tensors;
  for (int i = 0; i < 3000; ++i) {
    tensors.push_back({.name = "model.layers." + std::to_string(i) + ".mlp.down_proj.weight", .shape = {32, 32}});
  }
  const ZeroCheckpoint checkpoint(tensors);
  const PeakAllocation peak;
  const Plan plan = make_plan(describe(checkpoint), recipe("int4:g32:asym"));
  ForgetfulWriter writer;
  convert(checkpoint, plan, writer, serial_executor());
  CHECK(static_cast<std::int64_t>(peak.bytes()) < memory_bound(plan).at(1));
  CHECK(memory_bound(plan).at(2) > memory_bound(plan).at(1));
  tensors.resize(100);
  CHECK(memory_bound(make_plan(describe(ZeroCheckpoint(tensors)), recipe("int4:g32:asym"))).at(1) <
        memory_bound(plan).at(1));
}

TEST_CASE("the bound has room for what an encoding declares") {
  const ZeroCheckpoint checkpoint({{.name = "a.weight", .shape = {1024, 1024}}});
  Plan plan = make_plan(describe(checkpoint), recipe("int8"));
  const std::int64_t before = memory_bound(plan).at(1);
  plan.steps[0].state_bytes += std::int64_t{1} << 32;
  CHECK(memory_bound(plan).at(1) >= before + (std::int64_t{1} << 32));
}

TEST_CASE("the report is not longer than its bound, and not much shorter") {
  MemoryCheckpoint c;
  for (std::uint32_t i = 0; i < 40; ++i) {
    std::vector<float> values = weights(64 * 64, i);
    values[i] = std::numeric_limits<float>::quiet_NaN();
    c.add("layers." + std::to_string(i) + ".fc.weight", DType::Float32, {64, 64}, values);
  }
  for (const char* scheme : {"int8", "int4:g32:asym", "fp16"}) {
    Recipe r = recipe(scheme);
    r.allow_nan = true;
    r.sha256 = std::string_view(scheme) == "int8";
    const Plan plan = make_plan(describe(c), r);
    ForgetfulWriter writer;
    convert(c, plan, writer, serial_executor());
    CHECK(writer.text_bytes <= report_bound_bytes(plan));
    CHECK(writer.text_bytes * 2 > report_bound_bytes(plan));
  }
  Recipe copy;
  copy.task = Recipe::Task::Copy;
  CHECK(report_bound_bytes(make_plan(describe(c), copy)) == 0);
}

TEST_CASE("an estimate of time exists for every kind of plan and grows with it") {
  const ZeroCheckpoint one({{.name = "a.weight", .dtype = DType::BFloat16, .shape = {512, 1024}},
                            {.name = "conv.weight", .shape = {64, 32, 3, 3}},
                            {.name = "norm.weight", .shape = {64}},
                            {.name = "h.0.attn.c_attn.weight", .shape = {256, 768}},
                            {.name = "steps", .dtype = DType::Int64, .shape = {1}},
                            {.name = "empty.weight", .shape = {0, 16}}});
  for (const char* scheme : {"int8", "int4:g32:asym", "int8:tensor", "fp8_e4m3", "fp16"}) {
    CAPTURE(scheme);
    const Plan plan = make_plan(describe(one), recipe(scheme));
    const SpeedEstimate estimate = estimate_speed(plan, serial_executor());
    CHECK(estimate.input_bytes_per_second > 0);
    CHECK(estimate.seconds * estimate.input_bytes_per_second == doctest::Approx(static_cast<double>(plan.input_bytes)));
  }
  // The importance of made-up columns is made up too.
  Recipe weighted = recipe("int4:g32");
  weighted.objective = Objective::Importance;
  weighted.only = {"a.weight"};
  Analysis analysis;
  analysis.importance["a.weight"] = std::make_shared<const std::vector<float>>(1024, 1.0f);
  const Plan searched = make_plan(describe(one), weighted, analysis);
  CHECK(estimate_speed(searched, serial_executor()).input_bytes_per_second > 0);
  Recipe copy;
  copy.task = Recipe::Task::Copy;
  CHECK(estimate_speed(make_plan(describe(one), copy), serial_executor()).seconds > 0);
  CHECK(estimate_speed(make_plan(describe(ZeroCheckpoint({})), recipe("int8")), serial_executor()).seconds == 0);
}
