// Files for ComfyUI: bytes by hand, other writers' files, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

void add_text(MemoryCheckpoint& c, const std::string& name, const std::string& text) {
  c.add(name, DType::UInt8, {static_cast<std::int64_t>(text.size())},
        std::vector<std::uint8_t>(text.begin(), text.end()));
}

// A layer of 160 rows of 32: two tiles of scales down, one across. The first code of each block is 1, its scale 2^(row
// % 8 - 3).
MemoryCheckpoint nvfp4_file(const std::string& marker) {
  MemoryCheckpoint c;
  std::vector<std::uint8_t> codes(160 * 16, 0), scales(256 * 4, 0);
  for (std::size_t row = 0; row < 160; ++row) {
    for (std::size_t block = 0; block < 2; ++block) {
      codes[row * 16 + block * 8] = 0x20;
      const std::size_t place = row / 128 * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block;
      scales[place] = static_cast<std::uint8_t>((row % 8 + 4) << 3);
    }
  }
  c.add("m.weight", DType::UInt8, {160, 16}, codes);
  c.add("m.weight_scale", DType::Float8E4M3FN, {256, 4}, scales);
  c.add("m.weight_scale_2", DType::Float32, {}, std::vector<float>{0.5f});
  add_text(c, "m.comfy_quant", marker);
  return c;
}

MemoryCheckpoint fp8_file(const std::string& marker) {
  MemoryCheckpoint c;
  c.add("m.weight", DType::Float8E4M3FN, {2, 4}, std::vector<std::uint8_t>(8, 0x38));  // 1
  c.add("m.weight_scale", DType::Float32, {}, std::vector<float>{3});
  add_text(c, "m.comfy_quant", marker);
  return c;
}

std::vector<float> values_of(const Checkpoint& c) {
  const Source source = describe(c);
  REQUIRE(!source.tensors.empty());
  const Tensor tensor = read_float(c, source.tensors[0]);
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

}  // namespace

TEST_CASE("comfyui: the first code of a byte is in the high half, scales lie in tiles and multiply") {
  const MemoryCheckpoint c = nvfp4_file(R"({"format":"nvfp4","orig_dtype":"torch.float16"})");
  const Source source = describe(c);
  REQUIRE(source.tensors.size() == 1);
  CHECK(source.tensors[0].info.dtype == DType::Float16);
  CHECK(source.tensors[0].info.shape == Shape{160, 32});
  const std::vector<float> values = values_of(c);
  for (std::size_t row = 0; row < 160; ++row) {
    const float scale = static_cast<float>(1 << (row % 8)) / 8;
    CHECK(values[row * 32] == 0.5f * scale);
    CHECK(values[row * 32 + 1] == 0);
    CHECK(values[row * 32 + 16] == 0.5f * scale);
  }
  CHECK(validate(c, serial_executor()).findings.empty());
}

TEST_CASE("comfyui: repacked codes and scales come back as the same bytes") {
  const MemoryCheckpoint c = nvfp4_file(R"({"format":"nvfp4","orig_dtype":"torch.bfloat16"})");
  const auto repack = [](const Checkpoint& from, const char* dialect) {
    CountingWriter writer;
    convert(from, make_plan(describe(from), {.task = Recipe::Task::Repack, .dialect = dialect}), writer,
            serial_executor());
    CHECK(writer.every_byte_once());
    return writer.checkpoint();
  };
  const MemoryCheckpoint compressed = repack(c, "compressed_tensors"), back = repack(compressed, "comfyui");
  CHECK(describe(compressed).dialect == "compressed_tensors");
  for (const char* name : {"m.weight", "m.weight_scale", "m.weight_scale_2"}) {
    CAPTURE(name);
    const Tensor before = c.read(*c.find(name)), after = back.read(*back.find(name));
    CHECK(std::ranges::equal(before.bytes(), after.bytes()));
  }
}

TEST_CASE("comfyui: markers in the metadata, and scaled FP8 of 2024, are read") {
  MemoryCheckpoint header;
  header.add("m.weight", DType::Float8E4M3FN, {2, 4}, std::vector<std::uint8_t>(8, 0x38));
  header.add("m.weight_scale", DType::Float32, {1}, std::vector<float>{3});
  header.add("m.input_scale", DType::Float32, {}, std::vector<float>{1});
  header.add_metadata("_quantization_metadata", R"({"layers":{"m":{"format":"float8_e4m3fn"}}})");
  MemoryCheckpoint old;
  old.add("m.weight", DType::Float8E4M3FN, {2, 4}, std::vector<std::uint8_t>(8, 0x38));
  old.add("m.scale_weight", DType::Float32, {}, std::vector<float>{3});
  old.add("scaled_fp8", DType::Float8E4M3FN, {0}, std::vector<std::uint8_t>{});
  for (const MemoryCheckpoint* c : {&header, &old}) {
    CHECK(values_of(*c) == std::vector<float>(8, 3.0f));
    CHECK(describe(*c).tensors.size() == 1);
    CHECK(describe(*c).dialect == "comfyui");
  }
  // What the metadata says of weights does not outlive them.
  const Plan plan = make_plan(describe(header), {.task = Recipe::Task::Dequantize});
  CHECK(
      std::ranges::none_of(plan.layout.metadata, [](const auto& entry) { return entry.first.starts_with("_quant"); }));
}

TEST_CASE("comfyui: what is not read, or contradicts its marker, is refused by name") {
  const auto error = [](const MemoryCheckpoint& c) { return message_of([&] { describe(c); }); };
  CHECK(error(fp8_file(R"({"format":"float8_e4m3fn"})")) == "no error");
  CHECK(contains(error(fp8_file(R"({"format":"mxfp8"})")), "mxfp8"));
  CHECK(contains(error(fp8_file(R"({"format":"int8_tensorwise","convrot":true})")), "rotated"));
  CHECK(contains(error(fp8_file(R"({"format":"int8_tensorwise"})")), "m.weight"));
  CHECK(contains(error(fp8_file(R"({"format":"nvfp4"})")), "m.weight"));
  CHECK(error(fp8_file("{")) != "no error");
  CHECK(error(fp8_file("[]")) != "no error");
  CHECK(contains(error(fp8_file(std::string(5000, ' '))), "m.comfy_quant"));
  MemoryCheckpoint lonely;
  add_text(lonely, "m.comfy_quant", R"({"format":"nvfp4"})");
  CHECK(contains(error(lonely), "m.weight"));
  MemoryCheckpoint wrong = nvfp4_file(R"({"format":"nvfp4"})");
  wrong.infos()[1].shape = {128, 4};
  CHECK(contains(error(wrong), "m.weight_scale"));
}

TEST_CASE("comfyui: what the layout cannot hold is an error of the plan") {
  const auto error = [](const char* scheme, Shape shape, std::string name = "m.fc.weight") {
    MemoryCheckpoint c;
    c.add(std::move(name), DType::Float32, shape, weights(static_cast<std::size_t>(numel(shape))));
    const Recipe recipe{.scheme = parse_spec(scheme), .min_numel = 0, .dialect = "comfyui"};
    return message_of([&] { make_plan(describe(c), recipe); });
  };
  CHECK(error("nvfp4", {64, 64}) == "no error");
  CHECK(contains(error("nvfp4", {60, 64}), "multiple of 16"));
  CHECK(contains(error("int4:g32", {64, 64}), "fp8_e4m3:tensor"));
  CHECK(contains(error("fp8_e4m3:channel", {64, 64}), "fp8_e4m3:tensor"));
  CHECK(contains(error("int8:asym", {64, 64}), "fp8_e4m3:tensor"));
  CHECK(contains(error("fp8_e4m3:tensor", {8, 4, 16, 1}), "Linear"));
}

TEST_CASE("comfyui: the preset keeps what the program guesses the architecture from, and convolutions") {
  MemoryCheckpoint c;
  for (const char* name : {"img_in.weight", "double_blocks.0.img_attn.qkv.weight", "final_layer.linear.weight"}) {
    c.add(name, DType::Float32, {64, 64}, weights(64 * 64));
  }
  Recipe recipe{.min_numel = 0, .format = "safetensors"};
  apply(parse_destination("comfyui:nvfp4"), recipe);
  const Plan plan = make_plan(describe(c), recipe);
  CHECK(!plan.steps[0].quantizes());
  CHECK(plan.steps[1].quantizes());
  CHECK(!plan.steps[2].quantizes());
  CHECK(plan.loads_in == std::vector<std::string>{"ComfyUI"});
  c.add("conv.weight", DType::Float32, {64, 4, 3, 3}, weights(64 * 36));
  Recipe fp8{.min_numel = 0, .format = "safetensors"};
  apply(parse_destination("comfyui:fp8"), fp8);
  const Plan all = make_plan(describe(c), fp8);
  CHECK(all.steps[0].quantizes());
  CHECK(!all.steps[3].quantizes());
  recipe.format = "hf_safetensors";
  CHECK(contains(message_of([&] { make_plan(describe(c), recipe); }), "single files"));
}
