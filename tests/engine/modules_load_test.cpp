// Modules by name from checkpoints: in the library's layouts, and as PyTorch packs them.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using namespace mq::test;

namespace {

constexpr std::int64_t kOut = 16, kIn = 64;

MemoryCheckpoint model() {
  MemoryCheckpoint c;
  c.add("m.fc.weight", DType::Float32, {kOut, kIn}, weights(kOut * kIn, 1));
  c.add("m.fc.bias", DType::Float32, {kOut}, weights(kOut, 2));
  c.add("m.conv.weight", DType::Float32, {8, 4, 3, 3}, weights(8 * 4 * 9, 3));
  c.add("m.embed.weight", DType::Float32, {kOut, kIn}, weights(kOut * kIn, 4));
  return c;
}

MemoryCheckpoint written(const Recipe& recipe, const Analysis& analysis = {}) {
  const MemoryCheckpoint c = model();
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe, analysis), writer, serial_executor());
  REQUIRE(writer.every_byte_once());
  return writer.checkpoint();
}

// Of the Linear alone.
Recipe linear_recipe(const char* scheme, std::string dialect = "compressed_tensors") {
  Recipe recipe{.scheme = parse_spec(scheme), .dialect = std::move(dialect)};
  recipe.exclude = {"*conv*", "*embed*"};
  recipe.min_numel = 0;
  return recipe;
}

std::vector<float> floats_of(const Tensor& tensor) {
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

std::vector<float> run(const QuantizedLinear& linear, const std::vector<float>& x) {
  std::vector<float> y(x.size() / static_cast<std::size_t>(linear.in_features()) *
                       static_cast<std::size_t>(linear.out_features()));
  linear.forward(x, y);
  return y;
}

}  // namespace

TEST_CASE("modules: a layer by its name, from any layout") {
  const std::vector<float> x = weights(3 * kIn, 5), bias = weights(kOut, 2);
  for (const char* dialect : {"compressed_tensors", "gptq_v2", "awq", "torch_quantized"}) {
    CAPTURE(std::string(dialect));
    const bool bytes = dialect[0] == 't';
    const MemoryCheckpoint file = written(linear_recipe(bytes ? "int8:asym" : "int4:g32:asym", dialect));
    const QuantizedLinear expected(load_quantized(file, "m.fc.weight"), {.bias = bias});
    CHECK(run(QuantizedLinear::load(file, "m.fc"), x) == run(expected, x));
    CHECK(run(QuantizedLinear::load(file, "m.fc.weight"), x) == run(expected, x));
    const std::vector<float> zeros(kOut, 0.0f);
    CHECK(run(QuantizedLinear::load(file, "m.fc", {.bias = zeros}), x) ==
          run(QuantizedLinear(load_quantized(file, "m.fc.weight")), x));
  }
}

TEST_CASE("modules: convolutions and embeddings by their names") {
  Recipe recipe{.scheme = parse_spec("int8")};
  recipe.include = {"*.weight"};
  recipe.min_numel = 0;
  const MemoryCheckpoint file = written(recipe);
  const std::vector<float> x = weights(4 * 5 * 6, 5);
  const QuantizedConv2d conv = QuantizedConv2d::load(file, "m.conv", {.padding = {1, 0}});
  const QuantizedConv2d expected(load_quantized(file, "m.conv.weight"), {.padding = {1, 0}});
  std::vector<float> found(8 * 5 * 4), y(8 * 5 * 4);
  conv.forward(x, {1, 4, 5, 6}, found);
  expected.forward(x, {1, 4, 5, 6}, y);
  CHECK(found == y);

  const QuantizedEmbedding embedding = QuantizedEmbedding::load(file, "m.embed");
  const std::vector<float> all = floats_of(dequantize(load_quantized(file, "m.embed.weight")));
  std::vector<float> row(kIn);
  embedding.forward(std::vector<std::int64_t>{7}, row);
  CHECK(row == std::vector<float>(all.begin() + 7 * kIn, all.begin() + 8 * kIn));
}

TEST_CASE("modules: activations are those that the checkpoint asks for") {
  const Recipe dynamic = linear_recipe("int8+int8:token:asym");
  CHECK(QuantizedLinear::load(written(dynamic), "m.fc").activations() ==
        ModuleActivations(DynamicActivations{.how = {.mapping = Mapping::Asymmetric}}));
  for (const bool asymmetric : {false, true}) {
    const Recipe fixed = linear_recipe(asymmetric ? "int8+int8:static:asym" : "int8+int8:static");
    Analysis analysis;
    analysis.inputs = {{"m.fc.weight", {-1, 3}}};
    const QuantizedLinear linear = QuantizedLinear::load(written(fixed, analysis), "m.fc");
    const TensorQParams expected = asymmetric ? TensorQParams{4.0f / 255, 64} : TensorQParams{3 / 127.5f, 128};
    CHECK(linear.activations() == ModuleActivations(StaticActivations{expected}));
  }
  Analysis analysis;
  analysis.inputs = {{"m.fc.weight", {-1, 3}}};
  const MemoryCheckpoint file = written(linear_recipe("fp8_e4m3:tensor+fp8_e4m3:static"), analysis);
  CHECK(code_of([&] { QuantizedLinear::load(file, "m.fc"); }) == ErrorCode::Unsupported);
  QuantizedLinear::load(file, "m.fc", {.activations = FloatActivations{}});
}

TEST_CASE("modules: PyTorch's packed Linear is found by the name of its module") {
  const auto file = open_checkpoint(data_dir() / "pt" / "dynamic_quantized_state_dict.pt");
  const QuantizedLinear linear = QuantizedLinear::load(*file, "fc1", {.activations = pytorch_dynamic_activations()});
  CHECK(linear.in_features() == 8);
  CHECK(linear.out_features() == 6);
  const auto bias = file->find("fc1._packed_params._packed_params.1");
  REQUIRE(bias);
  // The bias alone.
  CHECK(run(linear, std::vector<float>(8, 0.0f)) == floats_of(file->read(*bias)));
}

TEST_CASE("modules: PyTorch's tables with float zero points are read as they are stored") {
  MemoryCheckpoint c;
  std::vector<std::uint8_t> codes;
  for (int i = 0; i < 12; ++i) codes.push_back(static_cast<std::uint8_t>(i * 20));
  c.add("e._packed_params._packed_weight", DType::UInt8, {3, 4}, codes);
  c.add("e._packed_params._packed_weight.q_scale", DType::Float32, {3, 1}, std::vector<float>{0.5f, 0.25f, 2});
  c.add("e._packed_params._packed_weight.q_zero_point", DType::Float32, {3, 1}, std::vector<float>{0.5f, 100.25f, 7});
  const QuantizedEmbedding embedding = QuantizedEmbedding::load(c, "e");
  std::vector<float> y(8);
  embedding.forward(std::vector<std::int64_t>{2, 0}, y);
  CHECK(y == std::vector<float>{306, 346, 386, 426, -0.25f, 9.75f, 19.75f, 29.75f});
}

TEST_CASE("modules: layers that are not there, or not quantized, are refused by name") {
  const MemoryCheckpoint file = model();
  const std::string missing = message_of([&] { QuantizedLinear::load(file, "m.fd"); });
  CHECK(missing.find("m.fd") != std::string::npos);
  CHECK(missing.find("m.fc.weight") != std::string::npos);
  CHECK(code_of([&] { QuantizedLinear::load(file, "m.fd"); }) == ErrorCode::Usage);
  CHECK(message_of([&] { QuantizedEmbedding::load(file, "m.embed"); }).find("not quantized") != std::string::npos);
}
