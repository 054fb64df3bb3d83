// The library's own layout: what is stored, that it comes back, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <span>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

MemoryCheckpoint source() {
  MemoryCheckpoint c;
  c.add("a.weight", DType::BFloat16, {64, 128}, std::vector<std::uint16_t>(64 * 128, 0x3f80));
  std::vector<float> values = weights(64 * 128);
  for (std::size_t i = 5; i < values.size(); i += 128) values[i] *= 40;
  c.add("b.weight", DType::Float32, {64, 128}, values);
  c.add("experts.up_proj", DType::Float32, {2, 64, 128}, weights(2 * 64 * 128, 2));
  return c;
}

Recipe recipe_of(const char* scheme) {
  return {.scheme = parse_spec(scheme), .min_numel = 0, .dialect = "mono_quant"};
}

MemoryCheckpoint converted(const Checkpoint& c, const Recipe& recipe) {
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe), writer, serial_executor());
  CHECK(writer.every_byte_once());
  return writer.checkpoint();
}

const TensorInfo& stored(const MemoryCheckpoint& c, std::string_view name) {
  const auto found = std::ranges::find(c.tensors(), name, [](const TensorInfo& t) { return t.name.str(); });
  REQUIRE(found != c.tensors().end());
  return *found;
}

// The same checkpoint with other outlier columns of b.weight, unless there are none, and a piece of its configuration
// replaced.
MemoryCheckpoint changed(const MemoryCheckpoint& c, const std::vector<std::int32_t>& columns,
                         std::string_view from = {}, std::string_view to = {}) {
  MemoryCheckpoint other;
  for (std::size_t i = 0; i < c.tensors().size(); ++i) {
    const TensorInfo& t = c.tensors()[i];
    std::vector<std::byte> bytes(static_cast<std::size_t>(t.size_bytes()));
    c.read(i, 0, t.numel(), bytes);
    if (t.name == "b.weight.outlier_columns") std::ranges::copy(std::as_bytes(std::span(columns)), bytes.begin());
    other.add(t.name, t.dtype, t.shape, bytes);
  }
  for (const auto& [key, value] : c.metadata()) {
    std::string text = std::get<std::string>(value);
    const std::size_t at = text.find(from);
    if (at != std::string::npos) text.replace(at, from.size(), to);
    other.add_metadata(key, std::move(text));
  }
  return other;
}

}  // namespace

TEST_CASE("mono_quant: a part is a tensor, and the encoding is told for each weight") {
  const MemoryCheckpoint c = source();
  for (const char* scheme : {"int8_outliers:o3", "int4_outliers:g32:asym:o3", "int3_outliers:g32:o3", "int8",
                             "uint8:asym", "int4:g64:asym", "int8:tensor"}) {
    CAPTURE(scheme);
    const MemoryCheckpoint made = converted(c, recipe_of(scheme));
    const Source read = describe(made);
    CHECK(read.dialect == "mono_quant");
    REQUIRE(read.tensors.size() == 3);
    for (const LogicalTensor& tensor : read.tensors) {
      QuantSpec spec = parse_spec(scheme);
      spec.scale_dtype = tensor.info.dtype;
      CHECK(*tensor.spec == spec);
    }
    CHECK(read.tensors[0].info.dtype == DType::BFloat16);
    CHECK(read.tensors[2].leading_dims == 2);
    CHECK(compare(c, made, serial_executor()).total.sqnr_db() > 9);
    CHECK(validate(made, serial_executor()).ok());
  }
}

TEST_CASE("mono_quant: the parts of a weight are those of quantize()") {
  const MemoryCheckpoint c = source(), made = converted(c, recipe_of("int4_outliers:g32:asym:o3"));
  CHECK(stored(made, "b.weight.codes").shape == Shape{64, 16});
  CHECK(stored(made, "b.weight.codes").dtype == DType::Int32);
  CHECK(stored(made, "b.weight.scale").shape == Shape{64, 4});
  CHECK(stored(made, "b.weight.zero_point").dtype == DType::Int8);
  CHECK(stored(made, "b.weight.outlier_columns").shape == Shape{1, 3});
  CHECK(stored(made, "b.weight.outlier_weight").shape == Shape{64, 3});
  const Tensor original = read_float(c, describe(c).tensors[1]);
  const QuantizedTensor expected = quantize(original.view(), parse_spec("int4_outliers:g32:asym:o3"), SearchOptions{});
  const QuantizedTensor loaded = load_quantized(made, "b.weight");
  REQUIRE(loaded.parts().size() == expected.parts().size());
  for (const QuantizedTensor::Part& part : expected.parts()) {
    CAPTURE(part.name);
    CHECK(std::ranges::equal(loaded.find(part.name)->bytes(), part.tensor.bytes()));
  }
  CHECK(loaded.find("outlier_columns")->as<std::int32_t>()[0] <= 5);
}

TEST_CASE("mono_quant: statistics of activations choose the columns") {
  const MemoryCheckpoint c = source();
  Recipe recipe = recipe_of("int8_outliers:o1");
  recipe.effort = Effort::Search;
  recipe.objective = Objective::Importance;
  auto importance = std::make_shared<std::vector<float>>(128, 1.0f);
  (*importance)[77] = 2;
  Analysis analysis;
  for (const LogicalTensor& tensor : describe(c).tensors) analysis.importance[tensor.info.name] = importance;
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe, analysis), writer, serial_executor());
  const QuantizedTensor loaded = load_quantized(writer.checkpoint(), "b.weight");
  CHECK(loaded.find("outlier_columns")->as<std::int32_t>()[0] == 77);
}

TEST_CASE("mono_quant: what it does not hold, and what others do not hold, is refused") {
  const MemoryCheckpoint c = source();
  CHECK(contains(message_of([&] { make_plan(describe(c), recipe_of("nf4")); }), "integers, with outlier columns"));
  for (const char* dialect : {"compressed_tensors", "gptq", "gptq_v2", "awq", "bitsandbytes", "fp8_blocks", "comfyui",
                              "quanto", "torchao", "plain"}) {
    CAPTURE(dialect);
    Recipe recipe = recipe_of("int4_outliers:g32:o2");
    recipe.dialect = dialect;
    CHECK(code_of([&] { make_plan(describe(c), recipe); }) == ErrorCode::Usage);
  }
  CHECK(contains(message_of([&] { make_plan(describe(c), recipe_of("int8_outliers:o128")); }), "a.weight"));
  MemoryCheckpoint gpt;
  gpt.add("h.0.attn.c_attn.weight", DType::Float32, {64, 192}, weights(64 * 192));
  CHECK(contains(message_of([&] { make_plan(describe(gpt), recipe_of("int8_outliers")); }), "read whole"));
}

TEST_CASE("mono_quant: a configuration that does not fit the tensors is an error") {
  const MemoryCheckpoint made = converted(source(), recipe_of("int8_outliers:o3"));
  const auto complaint = [&](std::string_view from, std::string_view to) {
    return message_of([&] { describe(changed(made, {}, from, to)); });
  };
  CHECK(complaint("no such text", "") == "no error");
  CHECK(contains(complaint("\"version\":1", "\"version\":2"), "a version that is not read"));
  CHECK(contains(complaint(":o3", ":o4"), "a.weight.outlier_columns"));
  CHECK(contains(complaint("int8_outliers", "int9_outliers"), "bad spec"));
  CHECK(contains(complaint("int8_outliers:channel=0:sym:narrow:o3", "nf4"), "bad spec"));
  CHECK(contains(complaint("[64,128]", "[64,-1]"), "bad shape"));
  CHECK(contains(complaint("[64,128]", "[64,129]"), "a.weight"));
  CHECK(contains(complaint("\"bfloat16\"", "\"bfloat17\""), "bad dtype"));
  CHECK(contains(complaint("\"a.weight\"", "\"c.weight\""), "c.weight.scale"));
}

TEST_CASE("mono_quant: outlier columns are looked at before they are used") {
  const MemoryCheckpoint made = converted(source(), recipe_of("int8_outliers:o3"));
  using Columns = std::vector<std::int32_t>;
  CHECK(message_of([&] { load_quantized(changed(made, Columns{0, 5, 127}), "b.weight"); }) == "no error");
  for (const Columns& bad : {Columns{-1, 5, 7}, Columns{5, 5, 7}, Columns{5, 7, 128}}) {
    const MemoryCheckpoint other = changed(made, bad);
    CHECK(code_of([&] { load_quantized(other, "b.weight"); }) == ErrorCode::Corrupt);
    CHECK(code_of([&] { read_float(other, describe(other).tensors[1]); }) == ErrorCode::Corrupt);
  }
}
