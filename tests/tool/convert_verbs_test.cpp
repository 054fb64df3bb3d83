// quantize, dequantize and convert, from the command line to the files.
#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();
const std::string kMobile = (data_dir() / "cnn" / "mobile.pt").string();

Outcome must_run(const std::vector<std::string>& arguments) {
  Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  return outcome;
}

// A small model as Hugging Face saves it: two shards, an index, a config and a tokenizer.
std::string write_model(const TempDir& dir) {
  const std::filesystem::path model = dir / "model";
  std::filesystem::create_directory(model);
  std::vector<NamedBytes> shards[2];
  std::string map;
  for (int layer = 0; layer < 2; ++layer) {
    const std::string file = layer == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
    for (const char* name : {"self_attn.q_proj.weight", "mlp.up_proj.weight", "input_layernorm.weight"}) {
      const bool norm = std::string_view(name).find("norm") != std::string_view::npos;
      NamedBytes tensor = sample("model.layers." + std::to_string(layer) + "." + name, DType::Float32,
                                 norm ? Shape{256} : Shape{256, 256});
      // Any bytes would make NaN: small integers instead.
      for (std::size_t i = 0; i + 4 <= tensor.bytes.size(); i += 4) {
        const auto value = static_cast<float>(static_cast<signed char>(tensor.bytes[i])) / 128.0F;
        std::memcpy(tensor.bytes.data() + i, &value, sizeof value);
      }
      map += (map.empty() ? "\"" : ", \"") + tensor.tensor.name + "\": \"" + file + "\"";
      shards[layer].push_back(std::move(tensor));
    }
    write_checkpoint(model / file, "safetensors", shards[layer], {{"format", std::string("pt")}});
  }
  write_file(model / "model.safetensors.index.json",
             "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {" + map + "}}");
  write_file(model / "config.json", R"({"model_type": "llama", "torch_dtype": "float32"})");
  write_file(model / "tokenizer.json", "{}");
  return model.string();
}

}  // namespace

TEST_CASE("quantize prints what it opened, the plan, sizes, errors and who loads the result") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const Outcome outcome = must_run({"quantize", kCnn, out});
  for (const char* part : {"input: ", "23 tensors", "fc1.weight", "int8:channel=0:sym:narrow, scales f32", "kept: norm",
                           "of the input's", "bits per quantized weight", "SQNR", "total: ", "wrote: "}) {
    CAPTURE(part);
    CHECK(contains(outcome.out, part));
  }
  CHECK(outcome.out.ends_with("loads in: mq only\n"));
  CHECK(names_in(dir.path()) ==
        std::vector<std::string>{"out.safetensors", "out.safetensors.quantization_metadata.json"});
  CHECK(std::filesystem::file_size(out) * 3 < std::filesystem::file_size(kCnn));
}

TEST_CASE("the parts of a training checkpoint that are not the model are named as left out") {
  const TempDir dir;
  const Outcome outcome = must_run(
      {"quantize", (data_dir() / "pt" / "training_checkpoint.pt").string(), (dir / "out.safetensors").string()});
  CHECK(contains(outcome.out, "left out: "));
  CHECK(contains(outcome.out, "optimizer, 30 tensors"));
  CHECK(contains(outcome.out, "epoch = 3"));
}

TEST_CASE("a dry run prints the same plan and the same size as the real run, and writes nothing") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const std::vector<std::string> real = {"quantize", kMobile, out, "--scheme", "int4:channel"};
  std::vector<std::string> dry = real;
  dry.emplace_back("--dry-run");
  const std::string planned = must_run(dry).out;
  CHECK(names_in(dir.path()).empty());
  const std::string done = must_run(real).out;
  const std::string plan = planned.substr(0, planned.find("dry run: "));
  CHECK(plan.size() > 200);
  CHECK(done.starts_with(plan));
  dry.emplace_back("--json");
  dry.emplace_back("--overwrite");
  CHECK(number_at(parse_output(run_tool(dry)), {"plan", "file_bytes"}) ==
        static_cast<double>(std::filesystem::file_size(out)));
}

TEST_CASE("tensors below 10 dB are warned about") {
  const TempDir dir;
  const Outcome outcome = must_run({"quantize", kCnn, (dir / "out.safetensors").string(), "--scheme", "int2:channel"});
  CHECK(contains(outcome.out, "warning: below 10 dB"));
  CHECK(contains(outcome.out, "fc1.weight"));
}

TEST_CASE("long plans are summed up unless every line is asked for") {
  const Outcome short_plan = must_run({"quantize", kMobile, "--dry-run"});
  CHECK(contains(short_plan.out, "(--verbose lists every tensor)"));
  CHECK(!contains(short_plan.out, "blocks.3.pw.weight"));
  const Outcome long_plan = must_run({"quantize", kMobile, "--dry-run", "--verbose"});
  CHECK(contains(long_plan.out, "blocks.3.pw.weight"));
}

TEST_CASE("dequantize gives back floats under the original names and shapes") {
  const TempDir dir;
  const std::string quantized = (dir / "q.safetensors").string();
  const std::string floats = (dir / "f.safetensors").string();
  must_run({"quantize", kMobile, quantized, "--scheme", "int4:channel", "--min-numel", "0"});
  must_run({"dequantize", quantized, floats});
  const auto original = open_checkpoint(kMobile);
  const auto restored = open_checkpoint(floats);
  REQUIRE(original->tensors().size() == restored->tensors().size());
  for (const TensorInfo& tensor : original->tensors()) {
    const auto index = restored->find(tensor.name);
    CAPTURE(tensor.name);
    REQUIRE(index.has_value());
    CHECK(restored->tensors()[*index].shape == tensor.shape);
    CHECK(restored->tensors()[*index].dtype == tensor.dtype);
  }
  must_run({"dequantize", quantized, (dir / "h.safetensors").string(), "--dtype", "bf16"});
  const auto halves = open_checkpoint(dir / "h.safetensors");
  CHECK(halves->tensors()[*halves->find("fc.weight")].dtype == DType::BFloat16);
}

TEST_CASE("convert keeps every tensor byte for byte") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  must_run({"convert", kCnn, out});
  const auto original = open_checkpoint(kCnn);
  const auto copy = open_checkpoint(out);
  for (std::size_t i = 0; i < original->tensors().size(); ++i) {
    const auto j = copy->find(original->tensors()[i].name);
    REQUIRE(j.has_value());
    CHECK(bytes_of_tensor(*original, i) == bytes_of_tensor(*copy, *j));
  }
}

TEST_CASE("a model directory becomes a model directory with its shards, config and other files") {
  const TempDir dir;
  const std::string model = write_model(dir);
  const Outcome outcome = must_run({"quantize", model, (dir / "out").string(), "--scheme", "int4:g128"});
  CHECK(outcome.out.ends_with("loads in: transformers, vLLM\n"));
  CHECK(names_in(dir / "out") ==
        std::vector<std::string>{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                 "model.safetensors.index.json", "quantization_metadata.json", "tokenizer.json"});
  CHECK(contains(read_file(dir / "out" / "config.json"), "quantization_config"));
  const json::Value planned =
      parse_output(run_tool({"quantize", model, "--scheme", "int4:g128", "--dry-run", "--json"}));
  double bytes = -static_cast<double>(std::filesystem::file_size(dir / "out" / "quantization_metadata.json"));
  for (const std::string& name : names_in(dir / "out")) {
    bytes += static_cast<double>(std::filesystem::file_size(dir / "out" / name));
  }
  CHECK(number_at(planned, {"plan", "file_bytes"}) == bytes);
  CHECK(must_run({"validate", (dir / "out").string()}).out == "ok: 6 tensors checked, 4 of them quantized\n");
  CHECK(names_in(dir.path()) == std::vector<std::string>{"model", "out"});
}

TEST_CASE("quantize refuses to replace a directory that may not be a model") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "out");
  write_file(dir / "out" / "thesis.tex", "years of work");
  const Outcome outcome = run_tool({"quantize", kCnn, (dir / "out").string(), "--overwrite"});
  CHECK(outcome.exit_code == 5);
  CHECK(is_one_error_line(outcome.err));
  CHECK(read_file(dir / "out" / "thesis.tex") == "years of work");
}

TEST_CASE("arrays of NumPy and archives of them are inputs like any other") {
  const TempDir dir;
  const std::string numpy = (data_dir() / "numpy").string() + "/";
  const std::string out = (dir / "out.safetensors").string();
  for (const char* name : {"stored.npz", "fortran_order.npy"}) {
    CAPTURE(name);
    // safetensors has no complex numbers of 16 bytes.
    std::vector<std::string> arguments = {"convert", numpy + name, out, "--overwrite"};
    const Outcome outcome = run_tool(arguments);
    CAPTURE(outcome.err);
    if (std::string(name) == "stored.npz") {
      CHECK(outcome.exit_code == 2);
      CHECK(contains(outcome.err, "complex128"));
      continue;
    }
    CHECK(outcome.exit_code == 0);
    CHECK(run_tool({"compare", numpy + name, out, "--min-sqnr", "300"}).exit_code == 0);
  }
  const Outcome info = run_tool({"info", numpy + "stored.npz"});
  CHECK(info.exit_code == 0);
  for (const char* part : {"NumPy archive", "arr_0", "t_complex128", "t_bool"}) {
    CAPTURE(part);
    CHECK(contains(info.out, part));
  }
  const json::Value value = parse_output(run_tool({"info", numpy + "big_endian.npy", "--json"}));
  CHECK(text_at(value, {"input", "format"}) == "npy");
  const Outcome refused = run_tool({"info", numpy + "objects.npy"});
  CHECK(refused.exit_code == 6);
  CHECK(is_one_error_line(refused.err));
  CHECK(contains(refused.err, "Python objects"));
}
