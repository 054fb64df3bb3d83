// torchao's safetensors form: descriptions by hand, those that are written, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

std::string entry_of(const std::string& type, const std::string& data) {
  return R"({"_type": ")" + type + R"(", "_data": )" + data + R"(, "_tensor_data_names": ["qdata", "scale"]})";
}

std::string data_of(const std::string& block, const std::string& more = {}) {
  return R"({"block_size": )" + block + R"(, "dtype": {"_type": "torch.dtype", "_data": "bfloat16"})" + more + "}";
}

// A layer of two rows of four codes 0 to 7, and a bias.
MemoryCheckpoint file_of(const std::string& entry, const std::vector<float>& scales, Shape shape) {
  MemoryCheckpoint c;
  c.add("m._weight_qdata", DType::Int8, {2, 4}, std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6, 7});
  c.add("m._weight_scale", DType::Float32, std::move(shape), scales);
  c.add("m.bias", DType::BFloat16, {2}, std::vector<std::uint16_t>{0, 0});
  c.add_metadata("m.weight", entry);
  c.add_metadata("m.bias", R"({"_type": "Tensor"})");
  c.add_metadata("tensor_names", R"(["m.weight", "m.bias"])");
  return c;
}

std::vector<float> values_of(const Checkpoint& c) {
  const Source source = describe(c);
  REQUIRE(!source.tensors.empty());
  const Tensor tensor = read_float(c, source.tensors[0]);
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

std::string refusal(const std::string& entry) {
  return message_of([&] { describe(file_of(entry, {1, 1}, {2, 1})); });
}

}  // namespace

TEST_CASE("torchao: scales of rows, groups and whole tensors are told by block_size") {
  const MemoryCheckpoint rows = file_of(entry_of("Int8Tensor", data_of("[1, 4]")), {1, 2}, {2, 1});
  CHECK(describe(rows).dialect == "torchao");
  CHECK(describe(rows).tensors.size() == 2);
  CHECK(describe(rows).tensors[0].info.dtype == DType::BFloat16);
  CHECK(values_of(rows) == std::vector<float>{0, 1, 2, 3, 8, 10, 12, 14});
  CHECK(validate(rows, serial_executor()).ok());
  CHECK(values_of(file_of(entry_of("Int8Tensor", data_of("[1, 2]")), {1, 2, 3, 4}, {2, 2})) ==
        std::vector<float>{0, 1, 4, 6, 12, 15, 24, 28});
  CHECK(values_of(file_of(entry_of("Int8Tensor", data_of("[2, 4]")), {0.5f}, {1, 1})) ==
        std::vector<float>{0, 0.5f, 1, 1.5f, 2, 2.5f, 3, 3.5f});
}

TEST_CASE("torchao: zero points are subtracted; where the configuration says symmetric they must be 0") {
  const std::string entry = entry_of(
      "IntxUnpackedToInt8Tensor", data_of("[1, 4]", R"(, "target_dtype": {"_type": "torch.dtype", "_data": "int4"})"));
  MemoryCheckpoint c = file_of(entry, {1, 2}, {2, 1});
  c.add("m._weight_zero_point", DType::Int8, {2, 1}, std::vector<std::int8_t>{1, -1});
  CHECK(values_of(c) == std::vector<float>{-1, 0, 1, 2, 10, 12, 14, 16});
  CHECK(describe(c).tensors[0].spec->bits == 4);
  c.add_metadata("quantization_config",
                 R"({"quant_method": "torchao", "quant_type": {"default": {"_type": "IntxWeightOnlyConfig", "_data":
                     {"mapping_type": {"_type": "MappingType", "_data": "SYMMETRIC"}}}}})");
  CHECK(describe(c).tensors[0].spec->mapping == Mapping::Symmetric);
  CHECK(contains(message_of([&] { values_of(c); }), "m._weight_zero_point"));
}

TEST_CASE("torchao: every tensor of an output is described, and descriptions do not outlive what they describe") {
  MemoryCheckpoint c;
  c.add("m.weight", DType::BFloat16, {2, 32}, std::vector<std::uint16_t>(64, 0x3f80));
  c.add("n.weight", DType::Float32, {32}, weights(32));
  const Recipe recipe{.scheme = parse_spec("int8+int8:token:dyn"), .min_numel = 0, .dialect = "torchao"};
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe), writer, serial_executor());
  const MemoryCheckpoint made = writer.checkpoint();
  const auto text = [&](std::string_view key) { return *find_string(made.metadata(), key); };
  CHECK(text("tensor_names") == R"(["m.weight","n.weight"])");
  CHECK(text("n.weight") == R"({"_type":"Tensor"})");
  CHECK(contains(text("m.weight"), R"("_type":"Int8Tensor")"));
  CHECK(contains(text("m.weight"), R"("block_size":[1,32],"dtype":{"_type":"torch.dtype","_data":"bfloat16"})"));
  CHECK(contains(text("m.weight"), R"("_type":"QuantizeTensorToInt8Kwargs")"));
  CHECK(describe(made).tensors[0].spec->activation == ActivationSpec{});
  for (const Recipe& next : {Recipe{.task = Recipe::Task::Dequantize}, Recipe{.min_numel = 0}}) {
    const Plan plan = make_plan(describe(made), next);
    CHECK(std::ranges::none_of(plan.layout.metadata, [](const auto& entry) { return entry.first == "m.weight"; }));
    CHECK(find_string(plan.layout.metadata, "tensor_names") == nullptr);
  }
}

TEST_CASE("torchao: classes that are packed, and descriptions that do not fit, are refused by name") {
  const std::string rows = data_of("[1, 4]");
  CHECK(refusal(entry_of("Int8Tensor", rows)) == "no error");
  CHECK(contains(refusal(entry_of("Int4TilePackedTo4dTensor", rows)), "Int4TilePackedTo4dTensor"));
  CHECK(contains(refusal(entry_of("Float8Tensor", rows)), "m._weight_qdata"));
  CHECK(contains(refusal(entry_of("IntxUnpackedToInt8Tensor", rows)), "int2 to int8"));
  CHECK(contains(refusal(entry_of("Int8Tensor", data_of("[1, 3]"))), "block_size"));
  CHECK(contains(refusal(entry_of("Int8Tensor", data_of("[2, 2]"))), "block_size"));
  CHECK(contains(refusal(entry_of("Int8Tensor", data_of("[1, 2]"))), "m._weight_scale"));
  CHECK(contains(refusal(entry_of("Int8Tensor", "3")), "_data of a tensor"));
  MemoryCheckpoint scaled = file_of(entry_of("Int8Tensor", rows), {1, 1}, {2, 1});
  scaled.add("m._weight_act_pre_scale", DType::Float32, {4}, std::vector<float>(4, 1));
  CHECK(contains(message_of([&] { describe(scaled); }), "scaled by column"));
  MemoryCheckpoint silent;
  silent.add("m.weight", DType::Float32, {2, 4}, weights(8));
  silent.add_metadata("quantization_config", R"({"quant_method": "torchao"})");
  CHECK(contains(message_of([&] { describe(silent); }), "do not describe any weight"));
}

TEST_CASE("torchao: what the layout cannot hold is an error of the plan") {
  const auto error = [](const char* scheme, Shape shape, std::string name = "m.fc.weight") {
    MemoryCheckpoint c;
    c.add(std::move(name), DType::Float32, shape, weights(static_cast<std::size_t>(numel(shape))));
    Recipe recipe{.scheme = parse_spec(scheme), .include = {"*"}, .min_numel = 0, .dialect = "torchao"};
    return message_of([&] { make_plan(describe(c), recipe); });
  };
  CHECK(error("int5:g32", {64, 64}) == "no error");
  CHECK(contains(error("uint4:g32", {64, 64}), "use int8"));
  CHECK(contains(error("nvfp4", {64, 64}), "use int8"));
  CHECK(contains(error("fp8_e4m3:b32x32", {64, 64}), "use int8"));
  CHECK(contains(error("int4:tensor", {64, 64}), "use int8"));
  CHECK(contains(error("int8+int8:token:asym:dyn", {64, 64}), "use int8"));
  CHECK(contains(error("int8", {8, 4, 4, 4}), "MODULE.NAME"));
  CHECK(contains(error("int8", {64, 64}, "weight"), "MODULE.NAME"));
  MemoryCheckpoint two;
  for (const char* name : {"a.weight", "b.weight"}) two.add(name, DType::Float32, {64, 64}, weights(64 * 64));
  Recipe mixed{.scheme = parse_spec("int8"), .min_numel = 0, .dialect = "torchao"};
  mixed.rules = {parse_rule("b.*=int4:g32")};
  CHECK(contains(message_of([&] { make_plan(describe(two), mixed); }), "one encoding"));
}
