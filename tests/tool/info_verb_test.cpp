#include <doctest/doctest.h>

#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

}  // namespace

TEST_CASE("info lists tensors with type, shape and size, and what shares bytes") {
  const Outcome plain = run_tool({"info", kCnn});
  CHECK(plain.exit_code == 0);
  for (const char* part : {"23 tensors", "fc1.weight", "float32", "[64, 3136]", "802.8 kB", "int64: 3 tensors"}) {
    CAPTURE(part);
    CHECK(contains(plain.out, part));
  }
  const Outcome shared = run_tool({"info", (data_dir() / "pt" / "state_dict.pt").string()});
  CHECK(contains(shared.out, "shares bytes with embed.weight"));
}

TEST_CASE("info shows quantized weights as the tensors that they stand for") {
  const TempDir dir;
  const std::string out = (dir / "q.safetensors").string();
  REQUIRE(run_tool({"quantize", kCnn, out, "--scheme", "int4:g16:asym"}).exit_code == 0);
  const Outcome outcome = run_tool({"info", out});
  CHECK(contains(outcome.out, "int4:g16:asym"));
  CHECK(!contains(outcome.out, "fc1.weight_packed"));
  CHECK(contains(outcome.out, "metadata\n"));

  const Outcome one = run_tool({"info", out, "--tensor", "fc1.weight"});
  CHECK(one.exit_code == 0);
  for (const char* part :
       {"[64, 3136], 200,704 elements", "int4:g16:asym", "fc1.weight_packed", "scales        12,544, ",
        "zero points   12,544, ", "          -8 |", "           7 |", "decoded ", "first values"}) {
    CAPTURE(part);
    CHECK(contains(one.out, part));
  }
  const json::Value value = parse_output(run_tool({"info", out, "--tensor", "fc1.weight", "--json"}));
  std::int64_t codes = 0;
  for (const json::Value& bar : *at(value, {"tensor", "histogram"}).as_array()) codes += *bar.find("count")->as_int();
  CHECK(codes == 200704);
}

TEST_CASE("info looks into float and integer tensors too, and suggests a name for one that is not there") {
  const Outcome floats = run_tool({"info", kCnn, "--tensor", "conv1.weight"});
  CHECK(contains(floats.out, "values "));
  CHECK(contains(floats.out, "standard deviation"));
  const Outcome integer = run_tool({"info", kCnn, "--tensor", "bn1.num_batches_tracked"});
  CHECK(integer.exit_code == 0);
  CHECK(contains(integer.out, "first values"));
  const Outcome wrong = run_tool({"info", kCnn, "--tensor", "fc1.weigth"});
  CHECK(wrong.exit_code == 2);
  CHECK(contains(wrong.err, "did you mean 'fc1.weight'?"));
}

TEST_CASE("names that would command the terminal are shown escaped") {
  const TempDir dir;
  const std::string file = (dir / "m.safetensors").string();
  write_file(file, safetensors_bytes(R"({"a\u001b[31m\nweight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                     std::string(4, '\0')));
  const Outcome outcome = run_tool({"info", file});
  CHECK(outcome.exit_code == 0);
  CHECK(!contains(outcome.out, "\x1b"));
  CHECK(contains(outcome.out, "a\\x1b[31m\\x0aweight"));
}

TEST_CASE("info of every kind of dtype prints a row for each") {
  const Outcome outcome = run_tool({"info", (data_dir() / "pt" / "dtypes.pt").string()});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "float8_e4m3fn"));
  CHECK(contains(outcome.out, "complex64"));
  const json::Value value = parse_output(run_tool({"info", (data_dir() / "pt" / "dtypes.pt").string(), "--json"}));
  for (const json::Value& tensor : *at(value, {"contents", "tensors"}).as_array()) {
    const std::string name = text_at(tensor, {"name"});
    CAPTURE(name);
    CHECK(run_tool({"info", (data_dir() / "pt" / "dtypes.pt").string(), "--tensor", name}).exit_code == 0);
  }
}

TEST_CASE("info and validate of a GGUF file show its blocks as encodings, its values decoded, its arrays left out") {
  const std::string file = (data_dir() / "gguf" / "types.gguf").string();
  const Outcome all = run_tool({"info", file});
  CHECK(all.exit_code == 0);
  for (const char* part : {"GGUF file", "22 tensors", "blk.0.iq4_xs.weight", "  q4_k: 1 tensor, 288 B",
                           "llama.block_count: 1", "left out: tokenizer.ggml.tokens (array of 3 strings)"}) {
    CAPTURE(part);
    CHECK(contains(all.out, part));
  }
  const Outcome one = run_tool({"info", file, "--tensor", "blk.0.q4_k.weight"});
  for (const char* part : {"[2, 256], 512 elements", "stored as     q4_k", "288 B, 4.50 bits per weight", "decoded "}) {
    CAPTURE(part);
    CHECK(contains(one.out, part));
  }
  const json::Value value = parse_output(run_tool({"info", file, "--tensor", "blk.0.q4_k.weight", "--json"}));
  CHECK(text_at(value, {"tensor", "spec"}) == "q4_k");
  CHECK(at(value, {"tensor", "scale_min"}).is_null());
  CHECK(run_tool({"validate", file}).exit_code == 0);
}

TEST_CASE("blocks that the output cannot hold are refused with what can be done instead") {
  const TempDir dir;
  const std::string file = (data_dir() / "gguf" / "types.gguf").string();
  const std::string out = (dir / "out.safetensors").string();
  const Outcome copied = run_tool({"convert", file, out});
  CHECK(copied.exit_code == 2);
  CHECK(contains(copied.err, "safetensors cannot hold this dtype: found q8_0 (`dequantize` writes floats"));
  const Outcome encoded = run_tool({"quantize", file, out, "--scheme", "q4_k"});
  CHECK(encoded.exit_code == 2);
  CHECK(contains(encoded.err, "belong into a GGUF file"));
  CHECK(snapshot(dir.path()).empty());
}
