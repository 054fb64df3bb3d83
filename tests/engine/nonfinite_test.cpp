// NaN and infinity in weights that a recipe allows.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "mq/mq.hpp"
#include "src/json.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using namespace mq::test;
using mq::test::MemoryCheckpoint;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const std::vector<const char*> kSchemes = {"int8",
                                           "int8:tensor",
                                           "int8:asym",
                                           "int4:g32:asym",
                                           "int4:g32",
                                           "uint8:channel=1:asym",
                                           "int4:g64:signed",
                                           "int3:channel",
                                           "fp8_e4m3",
                                           "fp8_e5m2",
                                           "fp8_e4m3:tensor",
                                           "int8:full",
                                           "uint4:g32:asym"};

Recipe recipe(const char* scheme, bool allow_nan = true) {
  Recipe r;
  r.scheme = parse_spec(scheme);
  r.min_numel = 0;
  r.allow_nan = allow_nan;
  return r;
}

struct Outcome {
  CountingWriter writer;
  Report report;
};

Outcome run(const Checkpoint& checkpoint, const Recipe& r, Executor& executor = serial_executor()) {
  Outcome outcome;
  outcome.report = convert(checkpoint, make_plan(describe(checkpoint), r), outcome.writer, executor);
  return outcome;
}

MemoryCheckpoint one(Shape shape, const std::vector<float>& values) {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, std::move(shape), values);
  return c;
}

Tensor decoded(const Outcome& outcome) {
  const MemoryCheckpoint written = outcome.writer.checkpoint();
  return read_float(written, describe(written).tensors[0]);
}

}  // namespace

TEST_CASE("without NaN in the data the option changes no byte of the tensors") {
  const MemoryCheckpoint c = one({96, 384}, weights(96 * 384));
  for (const char* scheme : kSchemes) {
    CAPTURE(scheme);
    CHECK(run(c, recipe(scheme)).writer.data() == run(c, recipe(scheme, false)).writer.data());
  }
}

TEST_CASE("NaN becomes 0, infinities the outermost codes, and the finite values are encoded as if the rest were 0") {
  std::vector<float> values = weights(64 * 128), zeros = values;
  const std::vector<std::pair<std::size_t, float>> bad = {{0, kNan},          {17, kInfinity},   {130, -kInfinity},
                                                          {5000, -kInfinity}, {5001, kInfinity}, {8191, -kNan}};
  for (const auto& [at, value] : bad) {
    values[at] = value;
    zeros[at] = 0;
  }
  const MemoryCheckpoint c = one({64, 128}, values), clean = one({64, 128}, zeros);
  for (const char* scheme : kSchemes) {
    CAPTURE(scheme);
    const Outcome outcome = run(c, recipe(scheme)), expected = run(clean, recipe(scheme, false));
    const Tensor found = decoded(outcome), reference = decoded(expected);
    float least = 0, most = 0;
    for (const float x : reference.as<float>()) {
      least = std::min(least, x);
      most = std::max(most, x);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float x = found.as<float>()[i];
      if (std::isnan(values[i])) {
        CHECK(x == 0);
      } else if (std::isinf(values[i])) {
        CHECK(std::signbit(x) == std::signbit(values[i]));
        CHECK(x != 0);
        // A range with one more code on a side reaches one step further than any value does.
        CHECK(std::fabs(x) <= 2 * std::max(-least, most));
      } else if (x != reference.as<float>()[i]) {
        FAIL("a finite value changed");
      }
    }
    const StepReport& step = outcome.report.steps[0];
    CHECK(step.nonfinite == NonfiniteCounts{.nan = 2, .infinite = 4});
    CHECK(step.error.error_sq == expected.report.steps[0].error.error_sq);
    CHECK(step.error.x_sq == expected.report.steps[0].error.x_sq);
    const json::Value metadata = json::parse(outcome.writer.texts.at("quantization_metadata.json"), "metadata");
    const json::Value* counts = metadata.find("tensors")->as_array()->front().find("nonfinite");
    REQUIRE(counts);
    CHECK(*counts->find("nan")->as_int() == 2);
    CHECK(*counts->find("infinite")->as_int() == 4);
  }
}

TEST_CASE("a block without any finite value has the scale 1 and codes as sure as all others") {
  std::vector<float> values(64, kNan);
  values[3] = kInfinity;
  values[4] = -kInfinity;
  const Outcome outcome = run(one({2, 32}, values), recipe("int8"));
  const Tensor found = decoded(outcome);
  CHECK(found.as<float>()[0] == 0);
  CHECK(found.as<float>()[3] == 127);
  CHECK(found.as<float>()[4] == -127);
  CHECK(outcome.report.total.error_sq == 0);
}

TEST_CASE("threads and the cut into tiles do not change what becomes of NaN") {
  const std::int64_t cols = (2 << 20) + 64;
  std::vector<float> values = weights(static_cast<std::size_t>(2 * cols));
  for (std::size_t i = 0; i < values.size(); i += 4099)
    values[i] = i % 2 == 0 ? kNan : i % 3 == 0 ? kInfinity : -kInfinity;
  const MemoryCheckpoint c = one({2, cols}, values);
  const auto executor = make_thread_executor(5);
  for (const char* scheme : {"int8", "int4:g32:asym", "fp8_e4m3:tensor"}) {
    CAPTURE(scheme);
    const Outcome serial = run(c, recipe(scheme)), parallel = run(c, recipe(scheme), *executor);
    CHECK(serial.writer.data() == parallel.writer.data());
    CHECK(serial.writer.texts == parallel.writer.texts);
    CHECK(serial.report.steps[0].nonfinite.total() == static_cast<std::int64_t>((values.size() + 4098) / 4099));
  }
}

TEST_CASE("a scale that overflows stays an error") {
  std::vector<float> values = weights(64 * 64);
  values[0] = 1e38f;
  values[1] = kNan;
  Recipe r = recipe("int8");
  r.scale_dtype = DType::Float16;
  CHECK(code_of([&] { run(one({64, 64}, values), r); }) == ErrorCode::Numeric);
}
