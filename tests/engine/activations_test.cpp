// Static activations: ranges from a file to scales beside the weights; and scales that joined weights share.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

constexpr const char* kNames[] = {"a.q_proj.weight", "a.k_proj.weight", "a.o_proj.weight"};

MemoryCheckpoint model() {
  MemoryCheckpoint c;
  std::uint32_t seed = 1;
  for (const char* name : kNames) {
    std::vector<float> values = weights(64 * 64, seed);
    for (float& value : values) value *= static_cast<float>(seed);
    c.add(name, DType::Float32, {64, 64}, values);
    ++seed;
  }
  return c;
}

Recipe recipe_of(const char* scheme) {
  return {.scheme = parse_spec(scheme), .min_numel = 0};
}

MemoryCheckpoint written(const Recipe& recipe, const Analysis& analysis = {}) {
  const MemoryCheckpoint c = model();
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe, analysis), writer, serial_executor());
  REQUIRE(writer.every_byte_once());
  return writer.checkpoint();
}

float number(const Checkpoint& c, const std::string& name) {
  const auto index = c.find(name);
  REQUIRE_MESSAGE(index.has_value(), name);
  const Tensor tensor = c.read(*index);
  if (tensor.dtype() == DType::Int8) return tensor.as<std::int8_t>()[0];
  return tensor.as<float>()[0];
}

Analysis ranges() {
  Analysis analysis;
  analysis.inputs = {{kNames[0], {-1, 2}}, {kNames[1], {-4, 1}}, {kNames[2], {0.5f, 6}}};
  return analysis;
}

}  // namespace

TEST_CASE("static activations: one scale for each layer's input, joined layers have the same") {
  for (const char* scheme : {"int8+int8:tensor:static", "fp8_e4m3:tensor+fp8_e4m3:static"}) {
    CAPTURE(scheme);
    const MemoryCheckpoint file = written(recipe_of(scheme), ranges());
    const float most = scheme[0] == 'i' ? 127.5f : 448.0f;
    CHECK(number(file, "a.q_proj.input_scale") == 4 / most);
    CHECK(number(file, "a.k_proj.input_scale") == 4 / most);
    CHECK(number(file, "a.o_proj.input_scale") == 6 / most);
    CHECK(!file.find("a.o_proj.input_zero_point"));
    const Source source = describe(file);
    REQUIRE(source.tensors.size() == 3);
    CHECK(*source.tensors[0].spec->activation == *parse_spec(scheme).activation);
    CHECK(validate(file, serial_executor()).findings.empty());
  }
}

TEST_CASE("static activations: asymmetric ones have a zero point, and ranges hold 0") {
  const MemoryCheckpoint file = written(recipe_of("int8+int8:static:asym"), ranges());
  CHECK(number(file, "a.q_proj.input_scale") == 6.0f / 255);
  CHECK(number(file, "a.q_proj.input_zero_point") == -128 + 170);
  CHECK(number(file, "a.o_proj.input_scale") == 6.0f / 255);
  CHECK(number(file, "a.o_proj.input_zero_point") == -128);
  CHECK(describe(file).tensors[0].spec->activation->mapping == Mapping::Asymmetric);
}

TEST_CASE("static activations: a layer without a range is an error that says what is needed") {
  const auto error = [](const Analysis& analysis) {
    return message_of([&] { written(recipe_of("int8+int8:static"), analysis); });
  };
  Analysis some = ranges();
  some.inputs.erase(kNames[1]);
  CHECK(contains(error(some), "a.k_proj.input_min"));
  CHECK(contains(error({}), "--stats"));
  Recipe kept = recipe_of("int8+int8:static");
  kept.rules = {parse_rule("a.k_proj*=int8")};
  CHECK(!written(kept, some).find("a.k_proj.input_scale"));
}

TEST_CASE("static activations of nvfp4: a multiplier for each layer's input, joined layers have the same") {
  const MemoryCheckpoint file = written(recipe_of("nvfp4+nvfp4"), ranges());
  CHECK(number(file, "a.q_proj.input_global_scale") == 448.0f * 6.0f / 4);
  CHECK(number(file, "a.k_proj.input_global_scale") == 448.0f * 6.0f / 4);
  CHECK(number(file, "a.o_proj.input_global_scale") == 448.0f * 6.0f / 6);
  CHECK(!file.find("a.o_proj.input_scale"));
  const std::string config = *find_string(file.metadata(), "quantization_config");
  CHECK(contains(config, R"("dynamic":"local")"));
  CHECK(contains(config, R"("format":"nvfp4-pack-quantized")"));
  const Source source = describe(file);
  REQUIRE(source.tensors.size() == 3);
  CHECK(*source.tensors[0].spec == parse_spec("nvfp4+nvfp4"));
  CHECK(validate(file, serial_executor()).findings.empty());
  // The weights are those of nvfp4 alone.
  const MemoryCheckpoint alone = written(recipe_of("nvfp4"));
  for (const TensorInfo& tensor : alone.tensors()) {
    const Tensor a = file.read(file.find(tensor.name).value()), b = alone.read(alone.find(tensor.name).value());
    CHECK(std::ranges::equal(a.bytes(), b.bytes()));
  }
  Analysis nothing = ranges();
  nothing.inputs[kNames[2]] = {0, 0};
  CHECK(number(written(recipe_of("nvfp4+nvfp4"), nothing), "a.o_proj.input_global_scale") == 1);
  CHECK(contains(message_of([] { written(recipe_of("nvfp4+nvfp4")); }), "--stats"));
  Recipe other = recipe_of("nvfp4+nvfp4");
  other.dialect = "comfyui";
  CHECK(contains(message_of([&] { written(other, ranges()); }), "ComfyUI"));
}

TEST_CASE("static activations: text, and what they cannot be") {
  CHECK(to_string(parse_spec("nvfp4+nvfp4")) == "nvfp4+nvfp4:tensor:static");
  CHECK(parse_spec("nvfp4+nvfp4:tensor:static") == parse_spec("nvfp4+nvfp4"));
  for (const char* text : {"nvfp4+int8", "int8+nvfp4", "fp8_e4m3+nvfp4"}) {
    CHECK(contains(message_of([&] { parse_spec(text); }), "nvfp4+nvfp4"));
  }
  CHECK(contains(message_of([] { parse_spec("nvfp4+nvfp4:dyn"); }), "+nvfp4:static"));
  CHECK(contains(message_of([] { parse_spec("nvfp4+nvfp4:token"); }), ":tensor:static"));
  CHECK(contains(message_of([] { parse_spec("nvfp4+nvfp4:asym"); }), "mapping"));
  CHECK(to_string(parse_spec("int8+int8:static")) == "int8:channel=0:sym:narrow+int8:tensor:sym:static");
  CHECK(parse_spec("int8+int8:static") != parse_spec("int8+int8:tensor:dyn"));
  CHECK(contains(message_of([] { parse_spec("int8+int8:token:static"); }), ":tensor:static"));
  CHECK(contains(message_of([] { parse_spec("int8+int8:dyn:static"); }), "twice"));
}

TEST_CASE("static activations: a file that lacks a scale, or has a bad one, is refused by name") {
  const auto file = [](bool scale, float value) {
    MemoryCheckpoint c;
    c.add("m.weight", DType::Int8, {2, 2}, std::vector<std::int8_t>{1, 2, 3, 4});
    c.add("m.weight_scale", DType::Float32, {2, 1}, std::vector<float>{1, 1});
    if (scale) c.add("m.input_scale", DType::Float32, {1}, std::vector<float>{value});
    c.add_metadata("quantization_config",
                   R"({"quant_method":"compressed-tensors","format":"int-quantized","config_groups":{"g":{"targets":)"
                   R"(["Linear"],"weights":{"num_bits":8,"type":"int","symmetric":true,"strategy":"channel"},)"
                   R"("input_activations":{"num_bits":8,"type":"int","symmetric":true,"strategy":"tensor",)"
                   R"("dynamic":false}}}})");
    return c;
  };
  CHECK(to_string(*describe(file(true, 1)).tensors[0].spec).ends_with(":tensor:sym:static"));
  CHECK(contains(message_of([&] { describe(file(false, 1)); }), "m.input_scale"));
  CHECK(validate(file(true, 1), serial_executor()).ok());
  CHECK(!validate(file(true, 0), serial_executor()).ok());
  CHECK(!validate(file(true, std::numeric_limits<float>::infinity()), serial_executor()).ok());
}

TEST_CASE("ranges of observers go into a file and come back") {
  const TempDir dir;
  const std::filesystem::path path = dir / "ranges.safetensors";
  MinMaxObserver observer{PerTensor{}};
  const std::vector<float> batch = {-3, 0.25f, 7};
  const Shape shape{1, 3};
  observer.observe({DType::Float32, shape, std::as_bytes(std::span(batch))});
  save_input_ranges(path, {{"a.q_proj.weight", observer.ranges()[0]}, {"a.k_proj", {-1, 1}}});
  Analysis analysis;
  add_input_ranges(analysis, *open_checkpoint(path));
  CHECK(analysis.inputs == std::map<std::string, Range>{{"a.q_proj.weight", {-3, 7}}, {"a.k_proj.weight", {-1, 1}}});
  CHECK(code_of([&] { save_input_ranges(path, {{"a", {0, 1}}}); }) == ErrorCode::Io);
  CHECK(contains(message_of([&] { save_input_ranges(path, {{"a", {2, 1}}}, true); }), "no range"));
  CHECK(contains(message_of([&] { save_input_ranges(path, {{"a", {0, 1}}, {"a.weight", {0, 1}}}, true); }), "a.input"));
}

TEST_CASE("files of ranges: what is no range is refused by name") {
  const auto error = [](std::vector<std::pair<std::string, std::vector<float>>> tensors) {
    MemoryCheckpoint c;
    for (auto& [name, values] : tensors) {
      c.add(name, DType::Float32, {static_cast<std::int64_t>(values.size())}, values);
    }
    return message_of([&] {
      Analysis analysis;
      add_input_ranges(analysis, c);
    });
  };
  CHECK(error({{"m.input_min", {0}}, {"m.input_max", {1}}, {"other", {1, 2}}}) == "no error");
  CHECK(contains(error({{"m.input_min", {0}}}), "m.input_max"));
  CHECK(contains(error({{"m.input_max", {0}}}), "m.input_min"));
  CHECK(contains(error({{"m.input_min", {0, 1}}, {"m.input_max", {1}}}), "one number"));
  CHECK(contains(error({{"m.input_min", {2}}, {"m.input_max", {1}}}), "not above"));
  CHECK(contains(error({{"m.input_min", {-INFINITY}}, {"m.input_max", {1}}}), "finite"));
  CHECK(contains(error({{"m.weight", {0}}}), "has no ranges"));
}

TEST_CASE("nvfp4: weights that are joined share their global scale, whatever the threads and the source of ranges") {
  const auto global = [](const Checkpoint& c, const char* name) {
    return number(c, std::string(name) + "_global_scale");
  };
  const MemoryCheckpoint c = model();
  const Analysis known = analyse(c, describe(c), serial_executor());
  float absmax = 0;
  for (const char* name : {kNames[0], kNames[1]}) {
    absmax = std::max({absmax, -known.ranges.at(name).lo, known.ranges.at(name).hi});
  }
  const MemoryCheckpoint file = written(recipe_of("nvfp4"));
  CHECK(global(file, kNames[0]) == 448.0f * 6.0f / absmax);
  CHECK(global(file, kNames[1]) == global(file, kNames[0]));
  CHECK(global(file, kNames[2]) != global(file, kNames[0]));
  const auto seven = make_thread_executor(7);
  for (const Analysis& analysis : {Analysis{}, known}) {
    CountingWriter writer;
    convert(c, make_plan(describe(c), recipe_of("nvfp4"), analysis), writer, *seven);
    const MemoryCheckpoint other = writer.checkpoint();
    for (std::size_t i = 0; i < file.tensors().size(); ++i) {
      const Tensor a = file.read(i), b = other.read(i);
      CHECK(std::ranges::equal(a.bytes(), b.bytes()));
    }
  }
  // One of them alone has its own.
  Recipe one = recipe_of("nvfp4");
  one.exclude = {"a.k_proj.weight"};
  CHECK(global(written(one), kNames[0]) != global(file, kNames[0]));
}

TEST_CASE("nvfp4: a value that is not finite in a joined weight is found") {
  MemoryCheckpoint c;
  for (const char* name : kNames) {
    std::vector<float> values = weights(64 * 64, 1);
    if (name == kNames[1]) values[100] = INFINITY;
    c.add(name, DType::Float32, {64, 64}, values);
  }
  CountingWriter writer;
  const auto run = [&](bool allow) {
    Recipe recipe = recipe_of("nvfp4");
    recipe.allow_nan = allow;
    convert(c, make_plan(describe(c), recipe), writer, serial_executor());
  };
  CHECK(contains(message_of([&] { run(false); }), "a.k_proj.weight"));
  CountingWriter again;
  Recipe recipe = recipe_of("nvfp4");
  recipe.allow_nan = true;
  const Report report = convert(c, make_plan(describe(c), recipe), again, serial_executor());
  CHECK(report.steps[1].nonfinite.infinite == 1);
}
