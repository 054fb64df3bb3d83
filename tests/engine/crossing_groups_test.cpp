// Groups of bitsandbytes that go on from one row to the next: those of the flattened weight.
#include <doctest/doctest.h>

#include <algorithm>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using namespace mq::test;

namespace {

MemoryCheckpoint one(Shape shape) {
  MemoryCheckpoint c;
  const auto n = static_cast<std::size_t>(numel(shape));
  c.add("m.fc.weight", DType::Float32, std::move(shape), weights(n, 3));
  return c;
}

Recipe recipe_of(const char* scheme) {
  return {.scheme = parse_spec(scheme), .min_numel = 0, .dialect = "bitsandbytes"};
}

CountingWriter written(const Checkpoint& checkpoint, const Recipe& recipe, Executor& executor = serial_executor()) {
  CountingWriter writer;
  convert(checkpoint, make_plan(describe(checkpoint), recipe), writer, executor);
  CHECK(writer.every_byte_once());
  return writer;
}

std::vector<float> values_of(const Checkpoint& c) {
  const Source source = describe(c);
  REQUIRE(source.tensors.size() == 1);
  const Tensor tensor = read_float(c, source.tensors[0]);
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

}  // namespace

TEST_CASE("crossing groups: a weight is stored as its flattened self in rows of one group") {
  for (const char* scheme : {"nf4", "fp4:g32", "nf4:g128:dq"}) {
    CAPTURE(scheme);
    const MemoryCheckpoint c = one({64, 100});
    const std::int64_t size = std::get<PerGroup>(parse_spec(scheme).granularity).group_size;
    const MemoryCheckpoint made = written(c, recipe_of(scheme)).checkpoint();
    const MemoryCheckpoint flat = written(one({6400 / size, size}), recipe_of(scheme)).checkpoint();
    REQUIRE(made.tensors().size() == flat.tensors().size());
    for (std::size_t i = 0; i < made.tensors().size(); ++i) {
      CAPTURE(made.tensors()[i].name.str());
      if (contains(made.tensors()[i].name, "quant_state")) continue;  // which has the shape
      CHECK(made.tensors()[i].shape == flat.tensors()[i].shape);
      const Tensor a = made.read(i), b = flat.read(i);
      CHECK(std::ranges::equal(a.bytes(), b.bytes()));
    }
    CHECK(describe(made).tensors[0].info.shape == Shape{64, 100});
    CHECK(values_of(made) == values_of(flat));
    CHECK(validate(made, serial_executor()).findings.empty());
    const Comparison comparison = compare(c, made, serial_executor());
    CHECK(comparison.total.sqnr_db() > 15);
  }
}

TEST_CASE("crossing groups: the same bytes with any number of threads, and a source like any other") {
  const MemoryCheckpoint c = one({2080, 1000});
  const auto seven = make_thread_executor(7);
  const CountingWriter alone = written(c, recipe_of("nf4"));
  CHECK(written(c, recipe_of("nf4"), *seven).data() == alone.data());
  const MemoryCheckpoint file = alone.checkpoint();
  const Recipe int8{.scheme = parse_spec("int8"), .min_numel = 0};
  const CountingWriter again = written(file, int8);
  CHECK(written(file, int8, *seven).data() == again.data());
  CHECK(compare(file, again.checkpoint(), serial_executor()).total.sqnr_db() > 35);
  // Its groups are no columns of anything.
  CHECK(contains(message_of([&] { load_quantized(file, "m.fc.weight"); }), "from one row to the next"));
  for (const char* dialect : {"bitsandbytes", "gptq"}) {
    const Recipe repack{.task = Recipe::Task::Repack, .dialect = dialect};
    CHECK(message_of([&] { make_plan(describe(file), repack); }) != "no error");
  }
}

TEST_CASE("crossing groups: of quantized weights, those of their values") {
  const MemoryCheckpoint c = one({64, 96});
  const auto seven = make_thread_executor(7);
  for (const auto& made_of :
       {std::pair{"int8", "compressed_tensors"}, std::pair{"int4:g32", "gptq"}, std::pair{"int4:g32:asym", "awq"},
        std::pair{"nf4:g32", "bitsandbytes"}, std::pair{"nf4:g2048", "bitsandbytes"}}) {
    CAPTURE(made_of.first);
    const Recipe first{.scheme = parse_spec(made_of.first), .min_numel = 0, .dialect = made_of.second};
    const MemoryCheckpoint quantized = written(c, first).checkpoint();
    const MemoryCheckpoint floats =
        written(quantized, {.task = Recipe::Task::Dequantize, .dtype = DType::Float32}).checkpoint();
    const CountingWriter made = written(quantized, recipe_of("nf4")), expected = written(floats, recipe_of("nf4"));
    CHECK(written(quantized, recipe_of("nf4"), *seven).data() == made.data());
    const MemoryCheckpoint a = made.checkpoint(), b = expected.checkpoint();
    for (const char* name : {"m.fc.weight", "m.fc.weight.absmax"}) {
      const Tensor x = a.read(a.find(name).value()), y = b.read(b.find(name).value());
      CHECK(std::ranges::equal(x.bytes(), y.bytes()));
    }
  }
}

TEST_CASE("crossing groups: the last one may be short, in files of others") {
  // 3 rows of 43, all 1; two groups of 64 and one of 1, whose scales are 1, 2 and 3.
  MemoryCheckpoint c;
  c.add("m.weight", DType::UInt8, {65, 1}, std::vector<std::uint8_t>(65, 0xff));
  c.add("m.weight.absmax", DType::Float32, {3}, std::vector<float>{1, 2, 3});
  const std::vector<float> levels = {-1.0f,
                                     -0.6961928009986877f,
                                     -0.5250730514526367f,
                                     -0.39491748809814453f,
                                     -0.28444138169288635f,
                                     -0.18477343022823334f,
                                     -0.09105003625154495f,
                                     0.0f,
                                     0.07958029955625534f,
                                     0.16093020141124725f,
                                     0.24611230194568634f,
                                     0.33791524171829224f,
                                     0.44070982933044434f,
                                     0.5626170039176941f,
                                     0.7229568362236023f,
                                     1.0f};
  c.add("m.weight.quant_map", DType::Float32, {16}, levels);
  const std::string state = R"({"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[3,43]})";
  c.add("m.weight.quant_state.bitsandbytes__nf4", DType::UInt8, {static_cast<std::int64_t>(state.size())},
        std::vector<std::uint8_t>(state.begin(), state.end()));
  std::vector<float> expected(129, 1);
  std::fill(expected.begin() + 64, expected.begin() + 128, 2.0f);
  expected[128] = 3;
  CHECK(values_of(c) == expected);
  CHECK(validate(c, serial_executor()).ok());
  const Recipe half{.task = Recipe::Task::Dequantize, .dtype = DType::Float32};
  const Tensor whole = written(c, half).checkpoint().read(0);
  CHECK(std::ranges::equal(whole.as<float>(), expected));
  c.infos()[0].shape = {64, 1};
  CHECK(contains(message_of([&] { describe(c); }), "m.weight"));
}

TEST_CASE("crossing groups: sizes that fit nothing are refused with those that bitsandbytes has") {
  const auto error = [](const Checkpoint& c) { return message_of([&] { make_plan(describe(c), recipe_of("nf4")); }); };
  CHECK(error(one({64, 100})) == "no error");
  CHECK(contains(error(one({48, 30})), "by 64, fits: 32;") == false);
  CHECK(contains(error(one({48, 30})), "by 64, fits: 32"));
  CHECK(contains(error(one({3, 43})), "fits: none"));
  CHECK(!contains(error(one({48, 30})), "16"));
  // What is stored as its transpose cannot be cut across rows.
  MemoryCheckpoint conv1d;
  conv1d.add("h.0.mlp.c_fc.weight", DType::Float32, {96, 64}, weights(96 * 64));
  conv1d.infos()[0].layer_type = "Conv1D";
  CHECK(contains(error(conv1d), "by 64, fits: 32"));
}
