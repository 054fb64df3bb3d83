// Layouts of other tools: written and read back, foreign files by worked examples, repacked from one to another, and
// what contradicts itself.
#include <doctest/doctest.h>

#include <cstring>

#include "mq/mq.hpp"
#include "src/dialects/dialect.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using mq::test::contains;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;
using mq::test::message_of;
using mq::test::weights;

namespace {

struct Case {
  const char* dialect;
  const char* scheme;
};

constexpr Case kCases[] = {
    {"compressed_tensors", "int4:g32"},
    {"compressed_tensors", "int4:g32:asym"},
    {"compressed_tensors", "nvfp4"},
    {"compressed_tensors", "mxfp4"},
    {"compressed_tensors", "mxfp8"},
    {"compressed_tensors", "fp8_e4m3:b128x128"},
    {"gptq", "int4:g32"},
    {"gptq", "int4:g64:signed"},
    {"gptq", "int8:channel"},
    {"gptq", "int3:g32"},
    {"gptq", "int2:g32"},
    {"gptq_v2", "int4:g32:asym"},
    {"gptq_v2", "int4:channel:asym"},
    {"gptq_v2", "int3:g32:asym"},
    {"gptq_v2", "int8:g32:asym"},
    {"gptq_v2", "uint4:g32:asym"},
    {"gptq_v2", "int4:g32"},
    {"awq", "int4:g32:asym"},
    {"awq", "int4:channel:asym"},
    {"awq", "int4:g32"},
    {"bitsandbytes", "nf4"},
    {"bitsandbytes", "nf4:g32:signed"},
    {"bitsandbytes", "fp4:g128"},
    {"bitsandbytes", "int8"},
    {"fp8_blocks", "fp8_e4m3:b128x128"},
    {"fp8_blocks", "fp8_e4m3:b32x64"},
    {"comfyui", "fp8_e4m3:tensor"},
    {"comfyui", "int8"},
    {"comfyui", "int8:tensor"},
    {"comfyui", "nvfp4"},
    {"quanto", "int8"},
    {"quanto", "fp8_e4m3"},
    {"quanto", "fp8_e5m2"},
    {"torchao", "int8"},
    {"torchao", "int8:tensor"},
    {"torchao", "int8:g32:full"},
    {"torchao", "int8+int8:token:dyn"},
    {"torchao", "fp8_e4m3"},
    {"torchao", "fp8_e5m2:tensor"},
    {"torchao", "int4:g32"},
    {"torchao", "int3:channel:asym"},
    {"torchao", "int8:g64:asym"},
};

Recipe recipe_of(const Case& c) {
  return {.scheme = parse_spec(c.scheme), .min_numel = 0, .dialect = c.dialect};
}

MemoryCheckpoint one(Shape shape) {
  MemoryCheckpoint c;
  const auto n = static_cast<std::size_t>(numel(shape));
  c.add("m.fc.weight", DType::Float32, std::move(shape), weights(n, 3));
  return c;
}

CountingWriter written(const Checkpoint& checkpoint, const Recipe& recipe, Executor& executor = serial_executor()) {
  CountingWriter writer;
  convert(checkpoint, make_plan(describe(checkpoint), recipe), writer, executor);
  return writer;
}

void check_equal_parts(const QuantizedTensor& a, const QuantizedTensor& b) {
  REQUIRE(a.parts().size() == b.parts().size());
  CHECK(a.shape() == b.shape());
  for (std::size_t i = 0; i < a.parts().size(); ++i) {
    CAPTURE(a.parts()[i].name);
    const auto x = a.parts()[i].tensor.bytes(), y = b.parts()[i].tensor.bytes();
    CHECK(std::equal(x.begin(), x.end(), y.begin(), y.end()));
  }
}

template <class T>
std::vector<T> filled(std::size_t n, T value) {
  return std::vector<T>(n, value);
}

// A weight of 32 rows and 64 columns in groups of 32: all codes 0, all scales 1.
struct GptqFile {
  std::string config = R"({"quant_method":"gptq","bits":4,"group_size":32,"sym":false,"desc_act":false})";
  std::vector<std::uint32_t> codes = filled(8 * 32, 0u);
  std::vector<std::uint32_t> zeros = filled(2 * 4, 0x77777777u);
  std::vector<float> scales = filled(2 * 32, 1.0f);
  std::vector<std::int32_t> groups = {};

  MemoryCheckpoint checkpoint() const {
    MemoryCheckpoint c;
    c.add("m.qweight", DType::Int32, {8, 32}, codes);
    c.add("m.qzeros", DType::Int32, {2, 4}, zeros);
    c.add("m.scales", DType::Float32, {2, 32}, scales);
    if (!groups.empty()) c.add("m.g_idx", DType::Int32, {static_cast<std::int64_t>(groups.size())}, groups);
    c.add_metadata("quantization_config", config);
    return c;
  }
  std::vector<float> values() const {
    const MemoryCheckpoint c = checkpoint();
    const Source source = describe(c);
    REQUIRE(source.tensors.size() == 1);
    const Tensor tensor = read_float(c, source.tensors[0]);
    return {tensor.as<float>().begin(), tensor.as<float>().end()};
  }
  std::string error() const {
    return message_of([&] { values(); });
  }
};

}  // namespace

TEST_CASE("every layout reads back as the parts that quantize() makes, and says the encoding it was given") {
  const MemoryCheckpoint c = one({96, 384});
  const Tensor original = c.read(0);
  for (const Case& row : kCases) {
    CAPTURE(row.dialect);
    CAPTURE(row.scheme);
    const CountingWriter writer = written(c, recipe_of(row));
    REQUIRE(writer.every_byte_once());
    const MemoryCheckpoint file = writer.checkpoint();
    const Source source = describe(file);
    REQUIRE(source.tensors.size() == 1);
    CHECK(source.dialect == row.dialect);
    CHECK(source.tensors[0].info.name == "m.fc.weight");
    const Plan plan = make_plan(describe(c), recipe_of(row));
    const QuantizedTensor expected =
        quantize(original.view(), *plan.steps[0].spec, SearchOptions{.effort = plan.steps[0].effort});
    const QuantizedTensor loaded = load_quantized(file, "m.fc.weight");
    check_equal_parts(loaded, expected);
    const Tensor values = read_float(file, source.tensors[0]), other = dequantize(expected);
    CHECK(std::equal(values.bytes().begin(), values.bytes().end(), other.bytes().begin(), other.bytes().end()));
    const Validation validation = validate(file, serial_executor());
    CHECK(validation.findings.empty());
  }
}

TEST_CASE("layouts are the same bytes with any number of threads, and from quantized sources") {
  const MemoryCheckpoint c = one({2080, 1024});
  const auto two = make_thread_executor(2), seven = make_thread_executor(7);
  for (const Case& row :
       {Case{"gptq", "int4:g128"}, Case{"awq", "int4:g128:asym"}, Case{"bitsandbytes", "nf4"},
        Case{"bitsandbytes", "nf4:dq"}, Case{"compressed_tensors", "nvfp4"}, Case{"comfyui", "nvfp4"}}) {
    CAPTURE(row.dialect);
    Recipe recipe = recipe_of(row);
    recipe.effort = Effort::Fast;
    const CountingWriter alone = written(c, recipe);
    CHECK(alone.every_byte_once());
    CHECK(written(c, recipe, *two).data() == alone.data());
    CHECK(written(c, recipe, *seven).data() == alone.data());
    const MemoryCheckpoint file = alone.checkpoint();
    const Recipe int8{.scheme = parse_spec("int8"), .min_numel = 0};
    CHECK(written(file, int8).data() == written(file, int8, *seven).data());
  }
}

TEST_CASE("GPTQ: codes run down the columns, and v1 stores zero points less one") {
  GptqFile file;
  for (std::size_t row = 0; row < 8; ++row) file.codes[row * 32] = 0x76543210u;  // of output 0
  const std::vector<float> v1 = file.values();
  for (std::size_t i = 0; i < 64; ++i) CHECK(v1[i] == static_cast<float>(i % 8) - 8);
  CHECK(v1[64] == -8);
  file.config = R"({"quant_method":"gptq","bits":4,"group_size":32,"sym":false,"checkpoint_format":"gptq_v2"})";
  CHECK(file.values()[0] == -7);
}

TEST_CASE("GPTQ: a zero point of 0 that borrowed from its neighbour is undone") {
  GptqFile file;
  file.zeros[0] = 0x7777776Fu;  // z = 0, 8, 8, 8, 8, 8, 8, 8 less one
  const std::vector<float> values = file.values();
  CHECK(values[0] == 0);
  CHECK(values[64] == -8);
  CHECK(values[7 * 64] == -8);
}

TEST_CASE("GPTQ: columns in the order of another quantization are read, and refused where codes are asked for") {
  GptqFile file;
  file.groups.resize(64);
  for (std::size_t i = 0; i < 64; ++i) file.groups[i] = static_cast<std::int32_t>(i % 2);
  for (std::size_t o = 0; o < 32; ++o) file.scales[32 + o] = 2;  // group 1
  const std::vector<float> values = file.values();
  for (std::size_t i = 0; i < 64; ++i) CHECK(values[i] == (i % 2 == 0 ? -8 : -16));
  const MemoryCheckpoint c = file.checkpoint();
  CHECK(contains(message_of([&] { load_quantized(c, "m.weight"); }), "act-order"));
  CHECK(contains(message_of([&] { written(c, {.task = Recipe::Task::Repack, .dialect = "awq"}); }), "act-order"));
  const Recipe int8{.scheme = parse_spec("int8"), .min_numel = 0};
  CHECK(written(c, int8).every_byte_once());
  file.groups[3] = 2;
  CHECK(contains(file.error(), "m.g_idx"));
  file.groups[3] = 0;
  CHECK(contains(file.error(), "too many columns"));
}

TEST_CASE("GPTQ: what contradicts itself is refused by name") {
  GptqFile symmetric;
  symmetric.config = R"({"quant_method":"gptq","bits":4,"group_size":32,"sym":true})";
  CHECK(symmetric.error() == "no error");
  symmetric.zeros[3] = 0x77767777u;
  CHECK(contains(symmetric.error(), "m.qzeros"));
  GptqFile file;
  file.config = R"({"quant_method":"gptq","bits":8,"group_size":32,"sym":false})";
  CHECK(contains(file.error(), "m.scales"));
  file.config = R"({"quant_method":"gptq","bits":5,"group_size":32,"sym":false})";
  CHECK(contains(file.error(), "2, 3, 4 or 8"));
  file.config = R"({"quant_method":"gptq","bits":4,"group_size":24,"sym":false})";
  CHECK(contains(file.error(), "divides 64"));
  file.config = R"({"quant_method":"gptq","bits":4,"group_size":32,"checkpoint_format":"marlin"})";
  CHECK(contains(file.error(), "marlin"));
  file.config = R"({"quant_method":"gptq","bits":4,"group_size":64,"sym":false})";
  CHECK(contains(file.error(), "m.qzeros"));
}

TEST_CASE("GPTQ: settings of modules of their own are written and read") {
  MemoryCheckpoint c;
  for (const char* name : {"a.up_proj.weight", "a.down_proj.weight", "b.up_proj.weight"}) {
    c.add(name, DType::Float32, {64, 64}, weights(64 * 64));
  }
  Recipe recipe{.scheme = parse_spec("int4:g32"), .min_numel = 0, .dialect = "gptq"};
  recipe.rules = {parse_rule("b.*=int8:channel"), parse_rule("a.down*=keep")};
  const MemoryCheckpoint file = written(c, recipe).checkpoint();
  const Source source = describe(file);
  REQUIRE(source.tensors.size() == 3);
  for (const LogicalTensor& tensor : source.tensors) {
    CAPTURE(tensor.info.name.str());
    if (tensor.info.name == "a.down_proj.weight") CHECK(!tensor.spec);
    if (tensor.info.name == "a.up_proj.weight") CHECK(tensor.spec->bits == 4);
    if (tensor.info.name == "b.up_proj.weight") CHECK(tensor.spec->bits == 8);
  }
}

TEST_CASE("AWQ: eight columns share a word in its order") {
  MemoryCheckpoint c;
  c.add("m.qweight", DType::Int32, {32, 1}, filled(32, 0x75316420u));
  c.add("m.qzeros", DType::Int32, {1, 1}, filled(1, 0u));
  c.add("m.scales", DType::Float32, {1, 8}, filled(8, 1.0f));
  c.add_metadata("quantization_config", R"({"quant_method":"awq","w_bit":4,"q_group_size":32,"version":"GEMM"})");
  const Source source = describe(c);
  REQUIRE(source.tensors.size() == 1);
  const Tensor values = read_float(c, source.tensors[0]);
  for (std::size_t o = 0; o < 8; ++o) CHECK(values.as<float>()[o * 32 + 5] == static_cast<float>(o));
}

TEST_CASE("repacking keeps codes, scales and zero points, all the way round") {
  const MemoryCheckpoint c = one({96, 384});
  const auto repack = [](const Checkpoint& from, const char* dialect) {
    const CountingWriter writer = written(from, {.task = Recipe::Task::Repack, .dialect = dialect});
    CHECK(writer.every_byte_once());
    return writer.checkpoint();
  };
  const MemoryCheckpoint awq = written(c, recipe_of({"awq", "int4:g32:asym"})).checkpoint();
  const QuantizedTensor parts = load_quantized(awq, "m.fc.weight");
  const MemoryCheckpoint gptq = repack(awq, "gptq_v2"), compressed = repack(gptq, "compressed_tensors");
  check_equal_parts(load_quantized(gptq, "m.fc.weight"), parts);
  check_equal_parts(load_quantized(compressed, "m.fc.weight"), parts);
  const MemoryCheckpoint back = repack(compressed, "awq");
  for (std::size_t i = 0; i < awq.tensors().size(); ++i) {
    const Tensor before = awq.read(i), after = back.read(i);
    CHECK(std::equal(before.bytes().begin(), before.bytes().end(), after.bytes().begin(), after.bytes().end()));
  }
  const MemoryCheckpoint symmetric = written(c, recipe_of({"gptq", "int4:g32"})).checkpoint();
  check_equal_parts(load_quantized(repack(symmetric, "awq"), "m.fc.weight"), load_quantized(symmetric, "m.fc.weight"));
  check_equal_parts(load_quantized(repack(repack(symmetric, "compressed_tensors"), "gptq"), "m.fc.weight"),
                    load_quantized(symmetric, "m.fc.weight"));
}

TEST_CASE("repacking is refused where the other layout has no place, with the reason") {
  const MemoryCheckpoint c = one({96, 384});
  const auto error = [&](const Case& from, const char* to) {
    const MemoryCheckpoint file = written(c, recipe_of(from)).checkpoint();
    return message_of([&] { make_plan(describe(file), {.task = Recipe::Task::Repack, .dialect = to}); });
  };
  CHECK(contains(error({"gptq", "int8:channel"}, "awq"), "integers of 4 bits"));
  CHECK(contains(error({"awq", "int4:g32:asym"}, "gptq"), "gptq_v2"));
  CHECK(contains(error({"bitsandbytes", "nf4"}, "gptq"), "integers"));
  CHECK(contains(error({"compressed_tensors", "int4:g32+int8:token:dyn"}, "gptq"), "weights alone"));
  CHECK(contains(message_of([&] { make_plan(describe(c), {.task = Recipe::Task::Repack, .dialect = "awq"}); }),
                 "no weight is quantized"));
}

TEST_CASE("what a layout cannot hold is an error of the plan") {
  const auto error = [](const Case& row, Shape shape) {
    const MemoryCheckpoint c = one(std::move(shape));
    return message_of([&] { make_plan(describe(c), recipe_of(row)); });
  };
  CHECK(contains(error({"gptq", "int5"}, {64, 64}), "2, 3, 4 or 8 bits"));
  CHECK(contains(error({"gptq", "int4:g32:asym"}, {64, 64}), "gptq_v2"));
  CHECK(contains(error({"gptq", "int8:tensor"}, {64, 64}), "groups or channels"));
  CHECK(contains(error({"gptq", "int4:g32"}, {64, 48}), "divide"));
  CHECK(contains(error({"gptq", "int4:channel"}, {60, 64}), "multiples of 8"));
  CHECK(contains(error({"awq", "int8"}, {64, 64}), "integers of 4 bits"));
  CHECK(contains(error({"awq", "int4:g32"}, {60, 64}), "multiples of 8"));
  CHECK(contains(error({"fp8_blocks", "fp8_e4m3"}, {64, 64}), "in blocks"));
  CHECK(contains(error({"bitsandbytes", "int4:g32"}, {64, 64}), "nf4, fp4, or int8"));
  CHECK(contains(error({"bitsandbytes", "nf4:g16"}, {64, 64}), "groups of 32"));
  CHECK(contains(error({"compressed_tensors", "nf4"}, {64, 64}), "bitsandbytes"));
}

TEST_CASE("bitsandbytes: the first code of a byte is in the high half; scales may be quantized themselves") {
  const auto file = [](bool nested, const std::string& state) {
    MemoryCheckpoint c;
    c.add("m.weight", DType::UInt8, {64, 1}, filled(64, std::uint8_t{0x7d}));  // 0, 0.5626
    std::vector<float> map;
    for (const float level : {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                              -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                              0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                              0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f}) {
      map.push_back(level);
    }
    c.add("m.weight.quant_map", DType::Float32, {16}, map);
    if (nested) {
      c.add("m.weight.absmax", DType::UInt8, {2}, std::vector<std::uint8_t>{0, 255});
      c.add("m.weight.nested_absmax", DType::Float32, {1}, filled(1, 2.0f));
      std::vector<float> levels(256, 0.0f);
      levels[0] = -1;
      levels[255] = 0.5f;
      c.add("m.weight.nested_quant_map", DType::Float32, {256}, levels);
    } else {
      c.add("m.weight.absmax", DType::Float32, {2}, std::vector<float>{2, 5});
    }
    c.add("m.weight.quant_state.bitsandbytes__nf4", DType::UInt8, {static_cast<std::int64_t>(state.size())},
          std::vector<std::uint8_t>(state.begin(), state.end()));
    return c;
  };
  const std::string plain = R"({"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[2,64]})";
  const std::string nested = R"({"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[2,64],)"
                             R"("nested_blocksize":256,"nested_dtype":"float32","nested_offset":4.0})";
  for (const bool is_nested : {false, true}) {
    const MemoryCheckpoint c = file(is_nested, is_nested ? nested : plain);
    const Source source = describe(c);
    REQUIRE(source.tensors.size() == 1);
    CHECK(source.tensors[0].info.dtype == DType::Float16);
    const Tensor values = read_float(c, source.tensors[0]);
    CHECK(values.as<float>()[0] == 0);
    CHECK(values.as<float>()[1] == 2 * 0.5626170039176941f);
    CHECK(values.as<float>()[65] == 5 * 0.5626170039176941f);
  }
  const auto error = [&](const std::string& state) { return message_of([&] { describe(file(false, state)); }); };
  CHECK(contains(error(R"({"quant_type":"nf4","blocksize":64,"shape":[4,64]})"), "m.weight"));
  CHECK(contains(error(R"({"quant_type":"nf4","blocksize":48,"shape":[2,64]})"), "blocks"));
  CHECK(error(R"({"quant_type":"nf4","blocksize":64,"shape":[4,32]})") == "no error");
  CHECK(error(R"({"quant_type":"nf4","blocksize":64,"shape":[4611686018427387904,64]})") != "no error");
}

TEST_CASE("bitsandbytes: double quantization is written, read as what decoding gives, and repacked without it") {
  const MemoryCheckpoint c = one({96, 384});
  const Tensor original = c.read(0);
  for (const Effort effort : {Effort::Fast, Effort::Search}) {
    Recipe recipe = recipe_of({"bitsandbytes", "nf4:dq"});
    recipe.effort = effort;
    const CountingWriter writer = written(c, recipe);
    REQUIRE(writer.every_byte_once());
    const MemoryCheckpoint file = writer.checkpoint();
    const Source source = describe(file);
    REQUIRE(source.tensors.size() == 1);
    CHECK(to_string(*source.tensors[0].spec) == "nf4:g64:dq");
    const QuantizedTensor expected = quantize(original.view(), parse_spec("nf4:dq"), SearchOptions{.effort = effort});
    const Tensor values = read_float(file, source.tensors[0]), other = dequantize(expected);
    CHECK(std::equal(values.bytes().begin(), values.bytes().end(), other.bytes().begin(), other.bytes().end()));
    CHECK(validate(file, serial_executor()).findings.empty());
    const MemoryCheckpoint plain =
        written(file, {.task = Recipe::Task::Repack, .dialect = "bitsandbytes"}).checkpoint();
    CHECK(to_string(*describe(plain).tensors[0].spec) == "nf4:g64");
    const Tensor same = read_float(plain, describe(plain).tensors[0]);
    CHECK(std::equal(values.bytes().begin(), values.bytes().end(), same.bytes().begin(), same.bytes().end()));
  }
  Recipe mixed = recipe_of({"bitsandbytes", "nf4:dq"});
  mixed.rules = {parse_rule("m.*=nf4")};
  MemoryCheckpoint two = one({96, 384});
  two.add("n.weight", DType::Float32, {64, 64}, weights(64 * 64));
  CHECK(contains(message_of([&] { make_plan(describe(two), mixed); }), "one encoding"));
}

TEST_CASE("FP8 in blocks: what is called the inverse of a scale multiplies") {
  MemoryCheckpoint c;
  c.add("m.weight", DType::Float8E4M3FN, {2, 4}, filled(8, std::uint8_t{0x38}));  // 1
  c.add("m.weight_scale_inv", DType::Float32, {1, 2}, std::vector<float>{2, 3});
  c.add_metadata("quantization_config", R"({"quant_method":"fp8","weight_block_size":[2,2]})");
  const Tensor values = read_float(c, describe(c).tensors[0]);
  const std::vector<float> expected = {2, 2, 3, 3, 2, 2, 3, 3};
  CHECK(std::equal(expected.begin(), expected.end(), values.as<float>().begin()));
  MemoryCheckpoint wrong;
  wrong.add("m.weight", DType::Float8E4M3FN, {2, 4}, filled(8, std::uint8_t{0x38}));
  wrong.add("m.weight_scale_inv", DType::Float32, {1, 1}, std::vector<float>{2});
  wrong.add_metadata("quantization_config", R"({"quant_method":"fp8","weight_block_size":[2,2]})");
  CHECK(contains(message_of([&] { describe(wrong); }), "m.weight_scale_inv"));
}

TEST_CASE("presets: scheme, layout and container of a program, and what it would not load") {
  for (const Destination& destination : destinations()) {
    const std::string text = std::string(destination.runtime) + ":" + std::string(destination.name);
    CAPTURE(text);
    CHECK(&parse_destination(text) == &destination);
    Recipe recipe{.format = std::string(kAutoFormat)};
    apply(destination, recipe);
    CHECK(parse_recipe(to_string(recipe)) == recipe);
    Source source;
    for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
      LogicalTensor weight{.info = {.name = "model.layers.0.self_attn." + std::string(name) + ".weight",
                                    .dtype = DType::BFloat16,
                                    .shape = {256, 256}}};
      weight.parts = {{"values", source.tensors.size()}};
      source.tensors.push_back(weight);
    }
    source.config = "{}";
    Analysis analysis;
    for (const LogicalTensor& weight : source.tensors) analysis.inputs[weight.info.name] = {-1, 1};
    if (destination.runtime == "llama.cpp") {
      // Names that are not llama.cpp's; tests of GGUF have models of its own.
      GgufModel model{.architecture = "llama", .own_names = "a test", .blocks = 1};
      for (const LogicalTensor& weight : source.tensors) model.tensors.push_back({.name = weight.info.name});
      analysis.gguf = std::make_shared<const GgufModel>(std::move(model));
      CHECK(contains(message_of([&] { make_plan(source, recipe, analysis); }), "llama.cpp would not load this"));
      recipe.format = "safetensors";
      CHECK(contains(message_of([&] { make_plan(source, recipe, analysis); }), "GGUF"));
      continue;
    }
    const Plan plan = make_plan(source, recipe, analysis);
    CHECK(!plan.loads_in.empty());
    if (destination.runtime != "vllm") continue;
    Recipe mixed = recipe;
    mixed.rules = {parse_rule("*.k_proj.weight=keep")};
    CHECK(contains(message_of([&] { make_plan(source, mixed, analysis); }), "fused"));
    source.config.clear();
    CHECK(contains(message_of([&] { make_plan(source, recipe, analysis); }), "config.json"));
  }
  CHECK(contains(message_of([] { parse_destination("vllm:w4a17"); }), "vllm:w4a16"));
  CHECK(contains(message_of([] { require_runtime("vlm"); }), "vllm"));
}
