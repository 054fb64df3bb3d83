// optimum-quanto's layout: bytes by hand, what is beside the weights, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

// A layer of two rows of three, as optimum-quanto's state_dict has it; scales of bfloat16: 0.5 and 2.
MemoryCheckpoint file_of(DType codes, std::vector<std::uint8_t> bytes) {
  MemoryCheckpoint c;
  c.add("m.weight._data", codes, {2, 3}, bytes);
  c.add("m.weight._scale", DType::BFloat16, {2, 1}, std::vector<std::uint16_t>{0x3f00, 0x4000});
  c.add("m.input_scale", DType::BFloat16, {}, std::vector<std::uint16_t>{0x3f80});
  c.add("m.output_scale", DType::BFloat16, {}, std::vector<std::uint16_t>{0x3f80});
  c.add("m.bias", DType::BFloat16, {2}, std::vector<std::uint16_t>{0, 0});
  return c;
}

std::vector<float> values_of(const Checkpoint& c) {
  const Source source = describe(c);
  REQUIRE(!source.tensors.empty());
  const Tensor tensor = read_float(c, source.tensors[0]);
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

Plan plan_of(const Checkpoint& c, const char* scheme) {
  return make_plan(describe(c), {.scheme = parse_spec(scheme), .min_numel = 0, .dialect = "quanto"});
}

}  // namespace

TEST_CASE("quanto: codes are multiplied by the scale of their row, without a configuration too") {
  const MemoryCheckpoint c = file_of(DType::Int8, {0x80, 0x7f, 0, 1, 2, 0xff});
  const Source source = describe(c);
  CHECK(source.dialect == "quanto");
  REQUIRE(source.tensors.size() == 2);
  CHECK(source.tensors[0].info.name == "m.weight");
  CHECK(source.tensors[0].info.dtype == DType::BFloat16);
  CHECK(values_of(c) == std::vector<float>{-64, 63.5f, 0, 2, 4, -2});
  CHECK(validate(c, serial_executor()).ok());
  CHECK(values_of(file_of(DType::Float8E4M3FN, {0x38, 0xb8, 0, 0x40, 0, 0})) ==
        std::vector<float>{0.5f, -0.5f, 0, 4, 0, 0});
  CHECK(values_of(file_of(DType::Float8E5M2, {0x3c, 0xbc, 0, 0x40, 0, 0})) ==
        std::vector<float>{0.5f, -0.5f, 0, 4, 0, 0});
}

TEST_CASE("quanto: the map of modules names those that are quantized, and config.json says nothing") {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {4, 8}, weights(32));
  c.add("b.weight", DType::Float32, {4, 8, 3, 3}, weights(4 * 72));
  c.add("c.weight", DType::Float32, {4, 8}, weights(32));
  Recipe recipe{.scheme = parse_spec("int8"), .min_numel = 0, .dialect = "quanto", .format = "hf_safetensors"};
  recipe.rules = {parse_rule("c.*=keep"), parse_rule("a.*=fp8_e4m3")};
  const Plan plan = make_plan(describe(c), recipe);
  const auto text = [&](std::string_view name) {
    const auto at = std::ranges::find(plan.layout.texts, name, [](const auto& file) { return file.first; });
    return at == plan.layout.texts.end() ? std::string() : at->second;
  };
  const std::string map = text("quanto_qmap.json");
  CHECK(contains(map, "\"a\": {\n    \"weights\": \"qfloat8_e4m3fn\",\n    \"activations\": \"none\""));
  CHECK(contains(map, "\"weights\": \"qint8\""));
  CHECK(!contains(map, "\"c\""));
  CHECK(!contains(text("config.json"), "quantization_config"));
  const auto stored = [&](std::string_view name) {
    return *std::ranges::find(plan.layout.tensors, name, [](const TensorInfo& tensor) { return tensor.name.str(); });
  };
  CHECK(stored("b.weight._data").shape == Shape{4, 8, 3, 3});
  CHECK(stored("b.weight._scale").shape == Shape{4, 1, 1, 1});
  CHECK(stored("b.input_scale").shape.empty());
}

TEST_CASE("quanto: what is packed, and what the layout cannot hold, is refused with the nearest thing") {
  MemoryCheckpoint packed;
  packed.add("m.weight._data._data", DType::UInt8, {1, 8}, std::vector<std::uint8_t>(8));
  packed.add("m.weight._scale", DType::Float32, {2, 1}, std::vector<float>(2));
  packed.add("m.weight._shift", DType::Float32, {2, 1}, std::vector<float>(2));
  CHECK(contains(message_of([&] { describe(packed); }), "offsets that are floats"));
  CHECK(contains(message_of([&] { describe(file_of(DType::UInt8, std::vector<std::uint8_t>(6))); }), "m.weight._data"));
  MemoryCheckpoint short_of_scales = file_of(DType::Int8, std::vector<std::uint8_t>(6));
  short_of_scales.infos()[1].shape = {1, 1};
  CHECK(contains(message_of([&] { describe(short_of_scales); }), "m.weight._scale"));
  MemoryCheckpoint c;
  c.add("m.weight", DType::Float32, {4, 64}, weights(256));
  CHECK(contains(message_of([&] { plan_of(c, "int4:g32"); }), "int8, fp8_e4m3 or fp8_e5m2 by channel"));
  CHECK(contains(message_of([&] { plan_of(c, "int8:tensor"); }), "use int8"));
  CHECK(contains(message_of([&] { plan_of(c, "int8:asym"); }), "use int8"));
  CHECK(message_of([&] { plan_of(c, "fp8_e5m2"); }) == "no error");
}
