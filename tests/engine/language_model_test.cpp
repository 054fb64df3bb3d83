// The real language model: error per scheme as its peers measure it, and the folder that comes out.
#include <doctest/doctest.h>

#include <filesystem>

#include "mq/mq.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
namespace fs = std::filesystem;

namespace {

Report quantize_model(const fs::path& model, const fs::path& out, const char* scheme, Effort effort) {
  const auto input = open_checkpoint(model);
  Recipe recipe;
  recipe.scheme = parse_spec(scheme);
  recipe.format = "hf_safetensors";
  recipe.effort = effort;
  const Plan plan = make_plan(describe(*input), recipe);
  const auto writer = create_checkpoint(out, recipe.format, {.sync = false});
  const auto executor = make_thread_executor(2);
  return convert(*input, plan, *writer, *executor);
}

}  // namespace

TEST_CASE("the language model: SQNR of round to nearest is that of the reference quantizers") {
  const auto model = test::fixture("lm/model");
  if (!model) return;
  const struct {
    const char* scheme;
    double sqnr_db;
  } cases[] = {{"int8", 42.24},
               {"fp8_e4m3", 31.59},
               {"int4:channel:narrow", 17.07},
               {"int4:channel:asym", 18.25},
               {"int4:g128:narrow", 18.54},
               {"int4:g128:asym", 19.90},
               {"int4:g64:narrow", 19.31},
               {"int4:g64:asym", 20.78},
               {"int4:g32:narrow", 20.22},
               {"int4:g32:asym", 21.83},
               {"int3:g128:asym", 13.28},
               {"int2:g64:asym", 6.78}};
  for (const auto& c : cases) {
    CAPTURE(c.scheme);
    const test::TempDir dir;
    const Report report = quantize_model(*model, dir / "out", c.scheme, Effort::Fast);
    CHECK(report.total.sqnr_db() == doctest::Approx(c.sqnr_db).epsilon(0.0005));
  }
}

// The bars are what a search by plain grids reached on the same weights, with scales stored as fp16.
TEST_CASE("the language model: SQNR of searched scales") {
  const auto model = test::fixture("lm/model");
  if (!model) return;
  const struct {
    const char* scheme;
    double sqnr_db;
  } cases[] = {{"int4:g128:signed", 20.09}, {"int4:g128:asym", 20.35}, {"int4:g32:signed", 21.70},
               {"int4:g32:asym", 22.28},    {"int3:g64:asym", 14.9},   {"int2:g64:asym", 8.7}};
  for (const auto& c : cases) {
    CAPTURE(c.scheme);
    const test::TempDir dir;
    const Report report = quantize_model(*model, dir / "out", c.scheme, Effort::Search);
    CHECK(report.total.sqnr_db() > c.sqnr_db);
  }
}

TEST_CASE("the language model: three shards stay three, with index, config and tokenizer") {
  const auto model = test::fixture("lm/model");
  if (!model) return;
  const test::TempDir dir;
  const fs::path out = dir / "out";
  quantize_model(*model, out, "int4:g128:narrow", Effort::Fast);
  for (const char* name :
       {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
        "model.safetensors.index.json", "config.json", "tokenizer.json", "quantization_metadata.json"}) {
    CHECK(fs::exists(out / name));
  }
  const auto written = open_checkpoint(out);
  const Source source = describe(*written);
  int quantized = 0;
  for (const LogicalTensor& tensor : source.tensors) quantized += tensor.spec.has_value();
  CHECK(quantized == 42);
  const auto original = open_checkpoint(*model);
  const Comparison comparison = compare(*original, *written, serial_executor());
  CHECK(comparison.missing.empty());
  CHECK(comparison.extra.empty());
  CHECK(comparison.total.sqnr_db() == doctest::Approx(18.54).epsilon(0.0005));
  CHECK(validate(*written, serial_executor()).ok());
}

TEST_CASE("mobile: one scale per tensor destroys depthwise channels, one per channel keeps all above 39 dB") {
  const auto input = open_checkpoint(test::data_dir() / "cnn" / "mobile.pt");
  const auto worst = [&](const char* scheme, double& worst_tensor) {
    const test::TempDir dir;
    Recipe recipe;
    recipe.scheme = parse_spec(scheme);
    recipe.min_numel = 0;
    const auto writer = create_checkpoint(dir / "m.safetensors", "safetensors", {.sync = false});
    convert(*input, make_plan(describe(*input), recipe), *writer, serial_executor());
    const auto written = open_checkpoint(dir / "m.safetensors");
    double channel = 1e9;
    worst_tensor = 1e9;
    for (const TensorComparison& t : compare(*input, *written, serial_executor()).tensors) {
      if (!t.quantized) continue;
      channel = std::min(channel, t.worst_channel_db);
      worst_tensor = std::min(worst_tensor, t.error.sqnr_db());
    }
    return channel;
  };
  double tensor = 0;
  CHECK(worst("int8:tensor", tensor) < 1.0);
  CHECK(tensor > 30.0);
  CHECK(worst("int8:channel", tensor) > 39.0);
}
