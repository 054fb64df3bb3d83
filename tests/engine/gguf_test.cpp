// GGUF files as sources: their blocks are quantized weights.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "mq/mq.hpp"
#include "src/matrix_reader.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/gguf_golden.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using test::CountingWriter;

namespace {

const std::filesystem::path kTypes = test::data_dir() / "gguf/types.gguf";

CountingWriter run(const Checkpoint& checkpoint, const Recipe& recipe, Recognise recognise = Recognise::Quantized) {
  CountingWriter writer;
  const Plan plan = make_plan(describe(checkpoint, recognise), recipe);
  convert(checkpoint, plan, writer, serial_executor());
  CHECK(writer.every_byte_once());
  return writer;
}

const LogicalTensor& find(const Source& source, std::string_view name) {
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.info.name == name) return tensor;
  }
  FAIL("no tensor " << name);
  return source.tensors.front();
}

// Blocks of a type, of zeros but for what a golden vector says.
std::string blocks(DType dtype, int count) {
  std::string one(static_cast<std::size_t>(info(dtype).block_bytes), '\0');
  for (const test::GgufGolden& golden : test::kGgufGolden) {
    if (golden.dtype != dtype) continue;
    const std::vector<std::uint8_t> bytes = test::from_hex(golden.hex);
    one.assign(bytes.begin(), bytes.end());
  }
  std::string all;
  for (int i = 0; i < count; ++i) all += one;
  return all;
}

std::unique_ptr<Checkpoint> open(const test::TempDir& dir, const test::GgufBuilder& file) {
  return open_checkpoint(test::write_file(dir / "m.gguf", file.bytes()));
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && a.bytes().size() == b.bytes().size() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

}  // namespace

TEST_CASE("gguf: every decodable type gives the values of the gguf package, bit for bit") {
  const auto checkpoint = open_checkpoint(kTypes);
  const auto expected = open_checkpoint(test::data_dir() / "gguf/types.safetensors");
  const Source source = describe(*checkpoint);
  CHECK(source.dialect == "gguf");
  CHECK(expected->tensors().size() == 14);
  for (std::size_t i = 0; i < expected->tensors().size(); ++i) {
    const std::string& name = expected->tensors()[i].name;
    CAPTURE(name);
    const LogicalTensor& tensor = find(source, name);
    REQUIRE(tensor.spec);
    CHECK("blk.0." + to_string(*tensor.spec) + ".weight" == name);
    CHECK(tensor.info.dtype == DType::Float32);
    CHECK(equal(read_float(*checkpoint, tensor), expected->read(i)));
    CHECK(equal(dequantize(load_quantized(*checkpoint, name)), expected->read(i)));
  }
}

TEST_CASE("gguf: dequantize writes the values, and everything else as it is") {
  const auto checkpoint = open_checkpoint(kTypes);
  const auto expected = open_checkpoint(test::data_dir() / "gguf/types.safetensors");
  const auto written = run(*checkpoint, {.task = Recipe::Task::Dequantize}).checkpoint();
  REQUIRE(written.tensors().size() == checkpoint->tensors().size());
  for (std::size_t i = 0; i < written.tensors().size(); ++i) {
    const std::string& name = written.tensors()[i].name;
    CAPTURE(name);
    const auto decoded = expected->find(name);
    CHECK(equal(written.read(i), decoded ? expected->read(*decoded) : checkpoint->read(*checkpoint->find(name))));
  }
  const Comparison difference = compare(*checkpoint, written, serial_executor());
  CHECK(difference.tensors.size() == 18);
  CHECK(difference.total.error_sq == 0);
}

TEST_CASE("gguf: quantizing blocks gives the bytes that quantizing their values gives") {
  const auto checkpoint = open_checkpoint(kTypes);
  const auto floats = run(*checkpoint, {.task = Recipe::Task::Dequantize}).checkpoint();
  for (const char* scheme : {"int8", "int4:g32:asym", "int8:tensor", "fp8_e4m3:b128x128", "bf16"}) {
    CAPTURE(scheme);
    Recipe recipe;
    recipe.scheme = parse_spec(scheme);
    recipe.min_numel = 0;
    recipe.exclude = {"plain.*"};
    CHECK(run(*checkpoint, recipe).data() == run(floats, recipe).data());
  }
}

TEST_CASE("gguf: validate decodes, and says which values it could not check") {
  CHECK(validate(*open_checkpoint(kTypes), serial_executor()).findings.empty());
  const test::TempDir dir;
  test::GgufBuilder file;
  std::string bad = blocks(DType::Q8_0, 2);
  bad[1] = 0x7e;  // a scale that is not a number
  file.tensor("a.weight", {32, 2}, 8, bad).tensor("b.weight", {256}, 16, std::string(66, 'x'));
  const Validation result = validate(*open(dir, file), serial_executor());
  REQUIRE(result.findings.size() == 2);
  CHECK(result.findings[0].tensor == "a.weight");
  CHECK(result.findings[0].severity == Finding::Severity::Failure);
  CHECK(result.findings[0].message == "32 of 64 decoded values are NaN");
  CHECK(result.findings[1].severity == Finding::Severity::Warning);
  CHECK(result.findings[1].message.find("iq2_xxs blocks are not decoded") != std::string::npos);
}

TEST_CASE("gguf: blocks without a decoder are listed, and refused by name when their values are needed") {
  const test::TempDir dir;
  test::GgufBuilder file;
  file.tensor("blk.0.ffn_up.weight", {256, 2}, 16, std::string(132, 'x'));
  const auto checkpoint = open(dir, file);
  const Source source = describe(*checkpoint);
  REQUIRE(source.tensors.size() == 1);
  CHECK_FALSE(source.tensors[0].spec);
  const auto check = [](auto&& body) {
    const auto error = test::error_of(body);
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Unsupported);
    CHECK(error->details().tensor == "blk.0.ffn_up.weight");
    CHECK(std::string(error->what()).find("iq2_xxs blocks are not decoded") != std::string::npos);
  };
  check([&] { read_float(*checkpoint, source.tensors[0]); });
  check([&] { make_plan(source, {.task = Recipe::Task::Dequantize}); });
  check([&] { make_plan(source, {.task = Recipe::Task::Quantize, .scheme = parse_spec("int8")}); });
  CHECK(compare(*checkpoint, *checkpoint, serial_executor()).equal == 1);
}

TEST_CASE("gguf: blocks are copied whole by who can hold them; safetensors cannot, and says what can be done") {
  const auto checkpoint = open_checkpoint(kTypes);
  const Recipe recipe{.task = Recipe::Task::Copy};
  const auto copy = run(*checkpoint, recipe, Recognise::Nothing).checkpoint();
  for (std::size_t i = 0; i < copy.tensors().size(); ++i) CHECK(equal(copy.read(i), checkpoint->read(i)));
  const Plan plan = make_plan(describe(*checkpoint, Recognise::Nothing), recipe);
  const std::string text = test::message_of([&] { layout_size_bytes(plan.layout, "safetensors"); });
  for (const char* part : {"blk.0.q8_0.weight", "safetensors cannot hold this dtype", "found q8_0", "dequantize"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("gguf: tiles that cut blocks give the values of the whole ones, transposed too") {
  const test::TempDir dir;
  test::GgufBuilder file;
  file.tensor("w", {512, 3}, 12, blocks(DType::Q4_K, 6)).tensor("n", {96, 3}, 39, blocks(DType::MXFP4, 9));
  const auto checkpoint = open(dir, file);
  const Source source = describe(*checkpoint);
  for (const LogicalTensor& tensor : source.tensors) {
    const Tensor all = read_float(*checkpoint, tensor);
    const auto values = all.as<float>();
    const std::int64_t cols = tensor.info.shape[1];
    Scratch scratch;
    for (const auto& [col, count] :
         {std::pair<std::int64_t, std::int64_t>{0, 8}, {5, 1}, {31, 33}, {32, 32}, {1, 95}}) {
      std::vector<float> tile(static_cast<std::size_t>(2 * count));
      MatrixReader(*checkpoint, tensor).read({1, 2, col, count}, tile.data(), scratch);
      std::vector<float> flipped(tile.size());
      MatrixReader(*checkpoint, tensor, true).read({col, count, 1, 2}, flipped.data(), scratch);
      for (std::int64_t r = 0; r < 2; ++r) {
        for (std::int64_t c = 0; c < count; ++c) {
          const float expected = values[static_cast<std::size_t>((1 + r) * cols + col + c)];
          CHECK(tile[static_cast<std::size_t>(r * count + c)] == expected);
          CHECK(flipped[static_cast<std::size_t>(c * 2 + r)] == expected);
        }
      }
    }
  }
}

TEST_CASE("gguf: names of llama.cpp tell what the tensors are") {
  const test::TempDir dir;
  test::GgufBuilder file;
  file.tensor("token_embd.weight", {32, 32}, 8, blocks(DType::Q8_0, 32));
  file.tensor("output.weight", {32, 32}, 8, blocks(DType::Q8_0, 32));
  file.tensor("blk.0.attn_q.weight", {32, 32}, 8, blocks(DType::Q8_0, 32));
  file.tensor("blk.0.ffn_gate_exps.weight", {32, 16, 2}, 8, blocks(DType::Q8_0, 32));
  file.tensor("blk.0.ffn_gate_inp.weight", {32, 32}, 0, std::string(4096, '\0'));
  file.tensor("blk.0.attn_norm.weight", {32}, 0, std::string(128, '\0'));
  const auto checkpoint = open(dir, file);
  Recipe recipe;
  recipe.scheme = parse_spec("int8");
  const Plan plan = make_plan(describe(*checkpoint), recipe);
  std::vector<TensorKind> kinds;
  for (const Step& step : plan.steps) kinds.push_back(step.kind);
  CHECK(kinds == std::vector{TensorKind::Embedding, TensorKind::Head, TensorKind::Linear, TensorKind::Experts,
                             TensorKind::Router, TensorKind::Norm});
  CountingWriter writer;
  convert(*checkpoint, plan, writer, serial_executor());
  CHECK(writer.every_byte_once());
  const Comparison difference = compare(*checkpoint, writer.checkpoint(), serial_executor());
  CHECK(difference.different.empty());
  CHECK(difference.total.sqnr_db() > 35);
}
