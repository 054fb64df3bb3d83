#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "mq/mq.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;
using mq::test::weights;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

MemoryCheckpoint quantized(const Checkpoint& checkpoint, const std::string& scheme) {
  Recipe recipe;
  recipe.scheme = parse_spec(scheme);
  recipe.min_numel = 0;
  recipe.allow_unknown = true;
  CountingWriter writer;
  convert(checkpoint, make_plan(describe(checkpoint), recipe), writer, serial_executor());
  return writer.checkpoint();
}

Comparison compare_serially(const Checkpoint& a, const Checkpoint& b) {
  return compare(a, b, serial_executor());
}

// SQNR of each channel along an axis, by the definition.
std::vector<double> channel_sqnr(const std::vector<float>& x, std::span<const float> y, const Shape& shape, int axis) {
  std::int64_t inner = 1;
  for (std::size_t d = static_cast<std::size_t>(axis) + 1; d < shape.size(); ++d) inner *= shape[d];
  const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  std::vector<double> signal(channels), noise(channels), db;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t channel = i / static_cast<std::size_t>(inner) % channels;
    signal[channel] += static_cast<double>(x[i]) * x[i];
    noise[channel] += (static_cast<double>(x[i]) - y[i]) * (static_cast<double>(x[i]) - y[i]);
  }
  for (std::size_t c = 0; c < channels; ++c) db.push_back(10 * std::log10(signal[c] / noise[c]));
  return db;
}

}  // namespace

TEST_CASE("equal checkpoints have no error in any tensor") {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {16, 32}, weights(512));
  c.add("steps", DType::Int64, {}, std::vector<std::int64_t>{7});
  const Comparison result = compare_serially(c, c);
  REQUIRE(result.tensors.size() == 1);
  CHECK(result.tensors[0].error.sqnr_db() == std::numeric_limits<double>::infinity());
  CHECK(result.tensors[0].worst_channel_db == std::numeric_limits<double>::infinity());
  CHECK(result.tensors[0].error.cosine() == doctest::Approx(1));
  CHECK(result.equal == 1);
  CHECK(result.missing.empty());
  CHECK(result.extra.empty());
  CHECK(result.different.empty());
  CHECK(result.original_bytes == result.other_bytes);
}

TEST_CASE("the worst channel is found along the axis of the outputs, whatever the kind of layer") {
  struct Case {
    const char* name;
    Shape shape;
    int axis;
  };
  // GPT-2's matrix of [in, 3 * in] is what tells its layers apart from Linear ones.
  for (const Case& c :
       {Case{"l.weight", {24, 96}, 0}, Case{"conv.weight", {24, 8, 3, 3}, 0},
        Case{"up.conv_transpose.weight", {16, 24, 3, 3}, 1}, Case{"h.0.attn.c_attn.weight", {64, 192}, 1}}) {
    for (const char* scheme : {"int4:tensor", "int4:channel", "int8:tensor"}) {
      CAPTURE(c.name);
      CAPTURE(scheme);
      MemoryCheckpoint original;
      std::vector<float> x = weights(static_cast<std::size_t>(numel(c.shape)), 5);
      original.add(c.name, DType::Float32, c.shape, x);
      const MemoryCheckpoint other = quantized(original, scheme);
      const Comparison result = compare_serially(original, other);
      REQUIRE(result.tensors.size() == 1);
      const TensorComparison& tensor = result.tensors[0];
      CHECK(tensor.quantized);
      const Tensor decoded = read_float(other, describe(other).tensors[0]);
      const std::vector<double> db = channel_sqnr(x, decoded.as<float>(), c.shape, c.axis);
      const auto worst = std::min_element(db.begin(), db.end());
      CHECK(tensor.worst_channel == worst - db.begin());
      CHECK(tensor.worst_channel_db == doctest::Approx(*worst).epsilon(1e-5));
      CHECK(tensor.worst_channel_db <= tensor.error.sqnr_db());
    }
  }
}

TEST_CASE("tensors are listed from the lowest SQNR, and the total is over the quantized ones") {
  MemoryCheckpoint original;
  for (const char* name : {"c.weight", "a.weight", "b.weight"})
    original.add(name, DType::Float32, {8, 64}, weights(512, name[0]));
  original.add("norm.weight", DType::Float32, {64}, weights(64));
  Recipe recipe;
  recipe.scheme = parse_spec("int8");
  recipe.min_numel = 0;
  recipe.rules = {parse_rule("b.weight=int3:g32"), parse_rule("a.weight=int4:g32")};
  CountingWriter writer;
  convert(original, make_plan(describe(original), recipe), writer, serial_executor());
  const Comparison result = compare_serially(original, writer.checkpoint());
  REQUIRE(result.tensors.size() == 4);
  CHECK(result.tensors[0].name == "b.weight");
  CHECK(result.tensors[1].name == "a.weight");
  CHECK(result.tensors[2].name == "c.weight");
  CHECK(result.tensors[3].name == "norm.weight");
  CHECK(!result.tensors[3].quantized);
  CHECK(result.tensors[3].spec == "float32");
  CHECK(result.tensors[0].spec == "int3:g32:sym");
  CHECK(result.tensors[0].original_bytes == 2048);
  CHECK(result.tensors[2].other_bytes == 8 * 64 + 8 * 4 + 2 * 8);
  CHECK(result.total.numel == 3 * 512);
}

TEST_CASE("what one side lacks and what cannot be compared is named") {
  MemoryCheckpoint a;
  a.add("only.a", DType::Float32, {4}, weights(4));
  a.add("shape", DType::Float32, {4, 8}, weights(32));
  a.add("number", DType::Int64, {1}, std::vector<std::int64_t>{1});
  a.add("type", DType::Int64, {1}, std::vector<std::int64_t>{1});
  MemoryCheckpoint b;
  b.add("only.b", DType::Float32, {4}, weights(4));
  b.add("shape", DType::Float32, {8, 4}, weights(32));
  b.add("number", DType::Int64, {1}, std::vector<std::int64_t>{2});
  b.add("type", DType::Int32, {1}, std::vector<std::int32_t>{1});
  const Comparison result = compare_serially(a, b);
  CHECK(result.missing == std::vector<std::string>{"only.a"});
  CHECK(result.extra == std::vector<std::string>{"only.b"});
  CHECK(result.different == std::vector<std::string>{"shape", "number", "type"});
  CHECK(result.equal == 0);
  CHECK(result.tensors.empty());
}

TEST_CASE("a name that is tied to one that is there is not missing, and its bytes count once") {
  MemoryCheckpoint a;
  a.add("embed.weight", DType::Float32, {8, 16}, weights(128), 1);
  a.add("lm_head.weight", DType::Float32, {8, 16}, weights(128), 1);
  MemoryCheckpoint b;
  b.add("embed.weight", DType::Float32, {8, 16}, weights(128));
  const Comparison result = compare_serially(a, b);
  CHECK(result.missing.empty());
  CHECK(result.original_bytes == 512);
}

TEST_CASE("infinities that both sides have are no error; NaN in one is the worst there is") {
  std::vector<float> x = weights(64);
  x[3] = -kInfinity;
  MemoryCheckpoint a;
  a.add("mask", DType::Float32, {8, 8}, x);
  CHECK(compare_serially(a, a).tensors[0].error.error_sq == 0);
  std::vector<float> y = x;
  y[9] = std::nanf("");
  MemoryCheckpoint b;
  b.add("mask", DType::Float32, {8, 8}, y);
  const Comparison result = compare_serially(a, b);
  CHECK(std::isnan(result.tensors[0].error.sqnr_db()));
  CHECK(result.tensors[0].worst_channel == 1);
}

TEST_CASE("a vector is one channel, and empty tensors compare") {
  MemoryCheckpoint a, b;
  a.add("v", DType::Float32, {4}, std::vector<float>{1, 2, 3, 0});
  b.add("v", DType::Float32, {4}, std::vector<float>{1, 2, 3, 1});
  a.add("empty", DType::Float32, {0, 4}, std::vector<float>{});
  b.add("empty", DType::Float32, {0, 4}, std::vector<float>{});
  const Comparison result = compare_serially(a, b);
  REQUIRE(result.tensors.size() == 2);
  CHECK(result.tensors[0].name == "v");
  CHECK(result.tensors[0].worst_channel_db == result.tensors[0].error.sqnr_db());
  CHECK(result.tensors[1].error.numel == 0);
}

TEST_CASE("a type with fewer bits is compared by value") {
  MemoryCheckpoint a, b;
  a.add("w", DType::Float32, {2, 2}, std::vector<float>{1, 2, 3, 4});
  b.add("w", DType::BFloat16, {2, 2}, std::vector<std::uint16_t>{0x3f80, 0x4000, 0x4040, 0x4080});
  const Comparison result = compare_serially(a, b);
  REQUIRE(result.tensors.size() == 1);
  CHECK(result.tensors[0].error.error_sq == 0);
  CHECK(result.tensors[0].spec == "bfloat16");
}

TEST_CASE("threads do not change a figure, nor does the cut into tiles") {
  MemoryCheckpoint original;
  original.add("a.weight", DType::Float32, {700, 640}, weights(700 * 640, 3));
  original.add("long.weight", DType::Float32, {3, 300000}, weights(900000, 4));
  original.add("t.conv_transpose.weight", DType::Float32, {128, 96, 5, 5}, weights(128 * 96 * 25, 5));
  original.add("h.0.attn.c_attn.weight", DType::Float32, {256, 768}, weights(256 * 768, 6));
  const MemoryCheckpoint other = quantized(original, "int4:channel");
  const Comparison serial = compare_serially(original, other);
  for (const int threads : {2, 7}) {
    const auto executor = make_thread_executor(threads);
    const Comparison parallel = compare(original, other, *executor);
    REQUIRE(parallel.tensors.size() == serial.tensors.size());
    for (std::size_t i = 0; i < serial.tensors.size(); ++i) {
      CHECK(parallel.tensors[i].name == serial.tensors[i].name);
      CHECK(parallel.tensors[i].error.error_sq == serial.tensors[i].error.error_sq);
      CHECK(parallel.tensors[i].error.y_sq == serial.tensors[i].error.y_sq);
      CHECK(parallel.tensors[i].worst_channel == serial.tensors[i].worst_channel);
      CHECK(parallel.tensors[i].worst_channel_db == serial.tensors[i].worst_channel_db);
    }
  }
}

TEST_CASE("two quantized checkpoints of the same original can be compared with each other") {
  MemoryCheckpoint original;
  original.add("a.weight", DType::Float32, {32, 256}, weights(8192));
  original.add("moe.experts.weight", DType::Float32, {4, 16, 64}, weights(4096));
  const MemoryCheckpoint a = quantized(original, "int8");
  const MemoryCheckpoint b = quantized(original, "int4:g32");
  const Comparison result = compare_serially(a, b);
  REQUIRE(result.tensors.size() == 2);
  for (const TensorComparison& tensor : result.tensors) {
    CHECK(tensor.error.sqnr_db() > 15);
    CHECK(tensor.error.sqnr_db() < 30);
  }
}
