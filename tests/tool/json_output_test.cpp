#include <doctest/doctest.h>

#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

}  // namespace

TEST_CASE("--json prints one object with a schema version for every command") {
  const TempDir dir;
  const std::string q = (dir / "q.safetensors").string();
  const std::string f = (dir / "f.safetensors").string();
  const std::string c = (dir / "c.safetensors").string();
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"quantize", kCnn, q},
                                                    {"quantize", kCnn, "--dry-run"},
                                                    {"dequantize", q, f},
                                                    {"convert", kCnn, c},
                                                    {"info", q},
                                                    {"info", q, "--tensor", "fc1.weight"},
                                                    {"compare", kCnn, q},
                                                    {"validate", q},
                                                    {"schemes"},
                                                    {"selftest"}}) {
    std::vector<std::string> line = arguments;
    line.emplace_back("--json");
    CAPTURE(arguments[0]);
    const Outcome outcome = run_tool(line);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.err.empty());
    const json::Value value = parse_output(outcome);
    CHECK(number_at(value, {"schema_version"}) == 1);
    CHECK(*at(value, {"ok"}).as_bool());
    CHECK(text_at(value, {"command"}) == arguments[0]);
    CHECK(value.find("error") == nullptr);
  }
}

TEST_CASE("the figures of quantize stand in its JSON") {
  const TempDir dir;
  const std::string out = (dir / "q.safetensors").string();
  const json::Value value = parse_output(run_tool({"quantize", kCnn, out, "--json"}));
  CHECK(text_at(value, {"input", "path"}) == kCnn);
  CHECK(at(value, {"plan", "steps"}).as_array()->size() == 23);
  CHECK(number_at(value, {"plan", "quantized", "tensors"}) == 4);
  CHECK(number_at(value, {"plan", "quantized", "bits_per_weight"}) == doctest::Approx(8.03).epsilon(0.01));
  CHECK(number_at(value, {"result", "total", "sqnr_db"}) == doctest::Approx(39.1).epsilon(0.01));
  const double bytes = static_cast<double>(std::filesystem::file_size(out)) +
                       static_cast<double>(std::filesystem::file_size(out + ".quantization_metadata.json"));
  CHECK(number_at(value, {"result", "size_bytes"}) == bytes);
}

TEST_CASE("failures are one object with their parts as fields, and nothing on stderr") {
  const TempDir dir;
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    const char* code;
  };
  const std::string text = write_file(dir / "text", "hello\n").string();
  for (const Case& c :
       {Case{{"quantize", text, "out.safetensors"}, 6, "unsupported"}, Case{{"info", (dir / "none").string()}, 5, "io"},
        Case{{"quantize", kCnn, "--bits"}, 2, "usage"}, Case{{"nonsense"}, 2, "usage"},
        Case{{"info", kCnn, "--tensor", "fc1.weigth"}, 2, "usage"}}) {
    std::vector<std::string> line = c.arguments;
    line.emplace_back("--json");
    const Outcome outcome = run_tool(line);
    CAPTURE(c.arguments[0]);
    CAPTURE(outcome.out);
    CHECK(outcome.exit_code == c.exit_code);
    CHECK(outcome.err.empty());
    const json::Value value = parse_output(outcome);
    CHECK(number_at(value, {"schema_version"}) == 1);
    CHECK(*at(value, {"ok"}).as_bool() == false);
    CHECK(text_at(value, {"error", "code"}) == c.code);
    for (const char* key : {"file", "tensor", "offset", "expected", "found", "hint", "message"}) {
      CAPTURE(key);
      CHECK(at(value, {"error"}).find(key) != nullptr);
    }
  }
  const json::Value wrong = parse_output(run_tool({"info", kCnn, "--tensor", "fc1.weigth", "--json"}));
  CHECK(text_at(wrong, {"error", "file"}) == kCnn);
  CHECK(text_at(wrong, {"error", "tensor"}) == "fc1.weigth");
  CHECK(text_at(wrong, {"error", "hint"}) == "did you mean 'fc1.weight'?");
}
