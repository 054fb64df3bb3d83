#include <doctest/doctest.h>

#include <limits>
#include <set>

#include "mq/mq.hpp"
#include "src/json.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;
using mq::test::weights;

namespace {

struct Result {
  CountingWriter writer;
  Report report;
  Plan plan;
};

Result run(const Checkpoint& checkpoint, const Recipe& recipe, Executor& executor = serial_executor(),
           const Analysis& analysis = {}) {
  Result result;
  result.plan = make_plan(describe(checkpoint), recipe, analysis);
  result.report = convert(checkpoint, result.plan, result.writer, executor);
  return result;
}

Recipe recipe(const std::string& scheme) {
  Recipe r;
  r.scheme = parse_spec(scheme);
  r.min_numel = 0;
  return r;
}

MemoryCheckpoint one(Shape shape, const std::string& name = "a.weight", std::uint32_t seed = 3) {
  MemoryCheckpoint c;
  const auto n = static_cast<std::size_t>(numel(shape));
  c.add(name, DType::Float32, std::move(shape), weights(n, seed));
  return c;
}

std::vector<std::string> all_scheme_texts() {
  std::vector<std::string> texts;
  for (const SchemeInfo& scheme : schemes()) {
    // The others have no layout of files.
    if (scheme.spec.codec == "affine" || scheme.spec.codec == "fp8" || scheme.spec.codec == "float_cast") {
      texts.emplace_back(scheme.name);
    }
  }
  for (const char* extra :
       {"int8:tensor", "int8:tensor:asym", "int8:asym", "int4:g32:asym", "int4:channel", "int3:g32", "int5:asym",
        "int6:g64", "int8:full", "int4:g64:signed", "uint8:asym", "uint4:g32:asym", "uint8:channel=1:asym",
        "int4:channel=1", "fp8_e4m3:tensor", "fp8_e4m3:b128x128", "int8+int8:token:dyn", "int4:g32+int8:token:dyn"}) {
    texts.emplace_back(extra);
  }
  return texts;
}

}  // namespace

TEST_CASE("what is written reads back as the codes, scales and zero points that quantize() makes") {
  const MemoryCheckpoint c = one({96, 384});
  const Tensor original = c.read(0);
  for (const std::string& text : all_scheme_texts()) {
    CAPTURE(text);
    const Result result = run(c, recipe(text));
    REQUIRE(result.writer.every_byte_once());
    const Step& step = result.plan.steps[0];
    const MemoryCheckpoint written = result.writer.checkpoint();
    if (!step.quantizes()) continue;
    const QuantizedTensor expected = quantize(original.view(), *step.spec, SearchOptions{.effort = step.effort});
    const QuantizedTensor loaded = load_quantized(written, "a.weight");
    CHECK(loaded.shape() == expected.shape());
    CHECK(loaded.qparams() == expected.qparams());
    const auto a = loaded.codes().bytes(), b = expected.codes().bytes();
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

TEST_CASE("dequantized output equals dequantize() of the tensor in memory, and the report's error is that of compare") {
  const MemoryCheckpoint c = one({64, 256});
  for (const char* text : {"int8", "int4:g32:asym", "fp8_e4m3", "uint8:channel=1:asym"}) {
    CAPTURE(text);
    const Result result = run(c, recipe(text));
    const MemoryCheckpoint quantized = result.writer.checkpoint();
    Recipe back;
    back.task = Recipe::Task::Dequantize;
    const Result restored = run(quantized, back);
    const MemoryCheckpoint plain = restored.writer.checkpoint();
    REQUIRE(plain.tensors().size() == 1);
    CHECK(plain.tensors()[0].name == "a.weight");
    CHECK(plain.tensors()[0].dtype == DType::Float32);
    const Tensor values = plain.read(0);
    const Tensor expected = dequantize(quantize(c.read(0).view(), *result.plan.steps[0].spec, SearchOptions{}));
    CHECK(std::equal(values.bytes().begin(), values.bytes().end(), expected.bytes().begin(), expected.bytes().end()));
    const Comparison comparison = compare(c, quantized, serial_executor());
    // Not equal: with channels along the columns, compare adds in another order.
    CHECK(comparison.total.sqnr_db() == doctest::Approx(result.report.total.sqnr_db()).epsilon(1e-7));
  }
}

TEST_CASE("threads do not change a byte, nor the report") {
  MemoryCheckpoint c;
  for (int i = 0; i < 5; ++i) {
    c.add("l" + std::to_string(i) + ".weight", DType::Float32, {700, 640}, weights(700 * 640, 10 + i));
  }
  for (const char* text : {"int8", "int4:g128:asym", "int8:tensor", "uint8:channel=1:asym", "fp16"}) {
    CAPTURE(text);
    const Result serial = run(c, recipe(text));
    for (const int threads : {2, 7}) {
      const auto executor = make_thread_executor(threads);
      const Result parallel = run(c, recipe(text), *executor);
      CHECK(parallel.writer.every_byte_once());
      CHECK(parallel.writer.data() == serial.writer.data());
      CHECK(parallel.writer.texts == serial.writer.texts);
    }
  }
}

TEST_CASE("rows longer than a tile are cut, and give the same bytes as quantize()") {
  const std::int64_t cols = (2 << 20) + 64;
  const MemoryCheckpoint c = one({2, cols});
  for (const char* text : {"int8", "int4:g32:asym", "int4:channel", "fp8_e4m3:tensor"}) {
    CAPTURE(text);
    const Result result = run(c, recipe(text));
    REQUIRE(result.writer.every_byte_once());
    const MemoryCheckpoint written = result.writer.checkpoint();
    const QuantizedTensor loaded = load_quantized(written, "a.weight");
    const QuantizedTensor expected = quantize(c.read(0).view(), *result.plan.steps[0].spec);
    CHECK(loaded.qparams() == expected.qparams());
    CHECK(std::equal(loaded.codes().bytes().begin(), loaded.codes().bytes().end(), expected.codes().bytes().begin()));
  }
}

TEST_CASE("a GPT-2 projection is quantized along its inputs, stored transposed and restored as it was") {
  MemoryCheckpoint c;
  c.add("h.0.attn.c_attn.weight", DType::Float32, {96, 288}, weights(96 * 288));
  const Result result = run(c, recipe("int4:g32"));
  REQUIRE(result.writer.every_byte_once());
  const MemoryCheckpoint written = result.writer.checkpoint();
  const QuantizedTensor loaded = load_quantized(written, "h.0.attn.c_attn.weight");
  CHECK(loaded.shape() == Shape{288, 96});
  std::vector<float> transposed(96 * 288);
  const Tensor original = c.read(0);
  for (std::size_t r = 0; r < 96; ++r) {
    for (std::size_t col = 0; col < 288; ++col) transposed[col * 96 + r] = original.as<float>()[r * 288 + col];
  }
  const Shape shape{288, 96};
  const QuantizedTensor expected =
      quantize({DType::Float32, shape, std::as_bytes(std::span(transposed))}, *result.plan.steps[0].spec);
  CHECK(loaded.qparams() == expected.qparams());
  Recipe back;
  back.task = Recipe::Task::Dequantize;
  const MemoryCheckpoint plain = run(written, back).writer.checkpoint();
  CHECK(plain.tensors()[0].shape == Shape{96, 288});
  const ErrorStats error = measure(original.view(), plain.read(0).view());
  CHECK(error.sqnr_db() > 15);
}

TEST_CASE("the error of a transposed weight is that of all its tiles") {
  MemoryCheckpoint c;
  c.add("h.0.attn.c_attn.weight", DType::Float32, {2144, 512}, weights(2144 * 512));
  for (const char* text : {"int8", "int4:g32", "int4:g32:asym"}) {
    CAPTURE(text);
    const Result result = run(c, recipe(text));
    const MemoryCheckpoint written = result.writer.checkpoint();
    const Comparison comparison = compare(c, written, serial_executor());
    const ErrorStats& error = result.report.steps[0].error;
    CHECK(error.numel == 2144 * 512);
    CHECK(error.error_sq == doctest::Approx(comparison.total.error_sq).epsilon(1e-5));
    CHECK(error.max_error == comparison.total.max_error);
  }
}

TEST_CASE("experts are quantized one by one and keep their three dimensions") {
  const MemoryCheckpoint c = one({4, 64, 128}, "mlp.experts.down_proj");
  for (const char* text : {"int8", "int4:g32", "int4:g32:asym"}) {
    CAPTURE(text);
    const Result result = run(c, recipe(text));
    const MemoryCheckpoint written = result.writer.checkpoint();
    for (const TensorInfo& t : written.tensors()) {
      if (!t.name.ends_with("_shape")) CHECK(t.shape.size() == 3);
    }
    const Comparison comparison = compare(c, written, serial_executor());
    REQUIRE(comparison.tensors.size() == 1);
    CHECK(comparison.tensors[0].shape == Shape{4, 64, 128});
    CHECK(comparison.total.sqnr_db() > 18);
  }
}

TEST_CASE("NaN and infinity in a tensor to quantize are an error that names tensor and count") {
  std::vector<float> values = weights(64 * 64);
  values[17] = std::numeric_limits<float>::quiet_NaN();
  values[99] = std::numeric_limits<float>::infinity();
  MemoryCheckpoint c;
  c.add("bad.weight", DType::Float32, {64, 64}, values);
  for (const char* text : {"int8", "int4:g32:asym", "int8:tensor", "fp8_e4m3"}) {
    CountingWriter writer;
    const Plan plan = make_plan(describe(c), recipe(text));
    try {
      convert(c, plan, writer, serial_executor());
      FAIL("no error");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::Numeric);
      CHECK(e.details().tensor == "bad.weight");
      CHECK(e.details().found.starts_with("2 "));
    }
    CHECK_FALSE(writer.finished);
  }
}

TEST_CASE("fp16: a finite value that would become infinite is an error naming tensor and count") {
  std::vector<float> values = weights(64 * 64);
  values[5] = 65520.0f;
  values[6] = -1e6f;
  MemoryCheckpoint c;
  c.add("big.weight", DType::Float32, {64, 64}, values);
  CountingWriter writer;
  const Plan plan = make_plan(describe(c), recipe("fp16"));
  try {
    convert(c, plan, writer, serial_executor());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::Numeric);
    CHECK(e.details().tensor == "big.weight");
    CHECK(e.details().found.starts_with("2 "));
  }
}

TEST_CASE("an analysis gives per-tensor ranges and the same bytes") {
  const MemoryCheckpoint c = one({300, 500});
  const Analysis analysis = analyse(c, describe(c), serial_executor());
  REQUIRE(analysis.ranges.count("a.weight") == 1);
  const Result with = run(c, recipe("int8:tensor:asym"), serial_executor(), analysis);
  const Result without = run(c, recipe("int8:tensor:asym"));
  CHECK(with.plan.steps[0].range.has_value());
  CHECK(with.writer.data() == without.writer.data());
}

TEST_CASE("digests depend on the input alone, not on what becomes of it") {
  const MemoryCheckpoint c = one({700, 640});
  std::set<std::string> digests;
  for (const char* text : {"int8", "int4:g128:asym", "fp16", "int8:tensor"}) {
    digests.insert(run(c, recipe(text)).report.steps[0].digest);
  }
  Recipe kept = recipe("int8");
  kept.exclude = {"*"};
  digests.insert(run(c, kept).report.steps[0].digest);
  CHECK(digests.size() == 1);
  CHECK(digests.begin()->starts_with("xxh3-128:"));
  Recipe sha = recipe("int8");
  sha.sha256 = true;
  CHECK(run(c, sha).report.steps[0].digest.starts_with("sha256:"));
  CHECK(digests.count(run(one({700, 640}, "a.weight", 4), recipe("int8")).report.steps[0].digest) == 0);
}

TEST_CASE("the metadata spells out the recipe and the error of each tensor") {
  const MemoryCheckpoint c = one({64, 256});
  const Result result = run(c, recipe("int4"));
  const json::Value metadata = json::parse(result.writer.texts.at("quantization_metadata.json"), "metadata");
  CHECK(*metadata.find("schema_version")->as_int() == 1);
  CHECK(*metadata.find("recipe")->find("scheme")->as_string() == "int4:g128:sym:full");
  const json::Value& tensor = metadata.find("tensors")->as_array()->front();
  CHECK(*tensor.find("spec")->as_string() == "int4:g128:sym:full");
  CHECK(*tensor.find("error")->find("sqnr_db")->as_double() == doctest::Approx(result.report.total.sqnr_db()));
}

TEST_CASE("cancelling stops the run before anything is finished") {
  const MemoryCheckpoint c = one({2000, 640});
  const Plan plan = make_plan(describe(c), recipe("int8"));
  CountingWriter writer;
  int calls = 0;
  const ConvertOptions options{.progress = [&](const Progress&) { return ++calls < 3; }};
  try {
    convert(c, plan, writer, serial_executor(), options);
    FAIL("not cancelled");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::Cancelled);
  }
  CHECK(calls == 3);
  CHECK_FALSE(writer.finished);
}

TEST_CASE("empty tensors and scalars pass through") {
  MemoryCheckpoint c;
  c.add<float>("empty.weight", DType::Float32, {0, 16}, {});
  c.add<float>("scalar", DType::Float32, {}, {2.5f});
  const Result result = run(c, recipe("int8"));
  CHECK(result.writer.every_byte_once());
  const MemoryCheckpoint written = result.writer.checkpoint();
  CHECK(written.read(*written.find("scalar")).as<float>()[0] == 2.5f);
}

TEST_CASE("compressed-tensors of another tool are recognised by their configuration") {
  // The worked example of the layout: q = [-8,-7,-1,0,1,2,6,7] packs to 0xFEA98710, scale 0.5.
  MemoryCheckpoint c;
  c.add<std::uint32_t>("m.fc.weight_packed", DType::Int32, {1, 1}, {0xFEA98710u});
  c.add<float>("m.fc.weight_scale", DType::Float32, {1, 1}, {0.5f});
  c.add<std::int64_t>("m.fc.weight_shape", DType::Int64, {2}, {1, 8});
  c.add_metadata(
      "quantization_config",
      R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"group_0":{)"
      R"("targets":["re:m\\.f.*"],"weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"channel"}}}})");
  const Source source = describe(c);
  REQUIRE(source.tensors.size() == 1);
  CHECK(source.tensors[0].info.name == "m.fc.weight");
  const Tensor values = read_float(c, source.tensors[0]);
  const std::vector<float> expected = {-4, -3.5f, -0.5f, 0, 0.5f, 1, 3, 3.5f};
  CHECK(std::equal(expected.begin(), expected.end(), values.as<float>().begin()));
}

TEST_CASE("tensors that contradict the configuration are refused") {
  const auto config = R"({"quant_method":"compressed-tensors","config_groups":{"group_0":{"targets":["Linear"],)"
                      R"("weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":8}}}})";
  const auto refused = [&](const auto& build) {
    MemoryCheckpoint c;
    build(c);
    c.add_metadata("quantization_config", config);
    try {
      describe(c);
    } catch (const Error& e) {
      return e.code() == ErrorCode::Corrupt || e.code() == ErrorCode::Limit;
    }
    return false;
  };
  CHECK(refused([](MemoryCheckpoint& c) {  // no shape
    c.add<std::uint32_t>("a.weight_packed", DType::Int32, {1, 2}, {0, 0});
    c.add<float>("a.weight_scale", DType::Float32, {1, 2}, {1, 1});
  }));
  CHECK(refused([](MemoryCheckpoint& c) {  // too few words for the shape
    c.add<std::uint32_t>("a.weight_packed", DType::Int32, {1, 1}, {0});
    c.add<float>("a.weight_scale", DType::Float32, {1, 2}, {1, 1});
    c.add<std::int64_t>("a.weight_shape", DType::Int64, {2}, {1, 16});
  }));
  CHECK(refused([](MemoryCheckpoint& c) {  // scales of another group size
    c.add<std::uint32_t>("a.weight_packed", DType::Int32, {1, 2}, {0, 0});
    c.add<float>("a.weight_scale", DType::Float32, {1, 1}, {1});
    c.add<std::int64_t>("a.weight_shape", DType::Int64, {2}, {1, 16});
  }));
  CHECK(refused([](MemoryCheckpoint& c) {  // a shape whose product overflows
    c.add<std::uint32_t>("a.weight_packed", DType::Int32, {1, 2}, {0, 0});
    c.add<float>("a.weight_scale", DType::Float32, {1, 2}, {1, 1});
    c.add<std::int64_t>("a.weight_shape", DType::Int64, {2}, {std::int64_t{1} << 62, 16});
  }));
  CHECK(refused([](MemoryCheckpoint& c) {  // zero points in a symmetric scheme
    c.add<std::uint32_t>("a.weight_packed", DType::Int32, {1, 2}, {0, 0});
    c.add<float>("a.weight_scale", DType::Float32, {1, 2}, {1, 1});
    c.add<std::int64_t>("a.weight_shape", DType::Int64, {2}, {1, 16});
    c.add<std::uint32_t>("a.weight_zero_point", DType::Int32, {1, 2}, {0, 0});
  }));
}
