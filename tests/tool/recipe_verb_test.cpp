// --recipe and `mq-convert recipe`: files in JSON and YAML, what overrides what, and outputs made again.
#include <doctest/doctest.h>

#include "mq/recipe.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

std::string printed_recipe(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "recipe");
  const Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

// Builds without yaml-cpp say so.
bool reads_yaml(const TempDir& dir) {
  const std::string file = write_file(dir / "empty.yaml", "min_numel: 1\n").string();
  const Outcome outcome = run_tool({"recipe", "--recipe", file});
  if (outcome.exit_code != 6) return true;
  CHECK(contains(outcome.err, "this build reads no YAML"));
  std::printf("skipped: this build reads no YAML\n");
  return false;
}

void check_refused(const TempDir& dir, std::string_view text, std::string_view part, int exit_code = 2) {
  const std::string file = write_file(dir / "r.yaml", text).string();
  const Outcome outcome = run_tool({"recipe", "--recipe", file});
  CAPTURE(outcome.err);
  CAPTURE(part);
  CHECK(outcome.exit_code == exit_code);
  CHECK(is_one_error_line(outcome.err));
  CHECK(contains(outcome.err, file));
  CHECK(contains(outcome.err, part));
}

}  // namespace

TEST_CASE("recipe prints every default, and prints what it reads") {
  const TempDir dir;
  const std::string plain = printed_recipe({});
  Recipe defaults;
  defaults.format = kAutoFormat;
  CHECK(parse_recipe(plain) == defaults);
  const std::string full = printed_recipe({"--scheme",         "int4:g64:asym",
                                           "--rule",           "a=keep",
                                           "--min-numel",      "3",
                                           "--keep",           "bf16",
                                           "--exclude",        "x*",
                                           "--sha256",         "--allow-nan",
                                           "--strip-prefix",   "m.",
                                           "--rename",         "a=b",
                                           "--root",           "ema",
                                           "--if-indivisible", "keep"});
  const std::string file = write_file(dir / "full.json", full).string();
  CHECK(printed_recipe({"--recipe", file}) == full);
  const Recipe recipe = parse_recipe(full);
  CHECK(recipe.input == InputNames{"ema", {"m."}, {{"a", "b"}}});
  CHECK(recipe.allow_nan);
  CHECK(recipe.keep == DType::BFloat16);
  const json::Value value = parse_output(run_tool({"recipe", "--recipe", file, "--json"}));
  CHECK(json::dump(at(value, {"recipe"})) + "\n" == full);
  // That object is a recipe file too.
  CHECK(printed_recipe({"--recipe", write_file(dir / "object.json", json::dump(value)).string()}) == full);
}

TEST_CASE("YAML says the same as JSON, and options of the command line override both") {
  const TempDir dir;
  if (!reads_yaml(dir)) return;
  const std::string yaml = write_file(dir / "r", R"(# comment
scheme: int4:g32
min_numel: 100
allow_unknown: true
exclude: [ "conv1.*", conv2.* ]
rules:
  - pattern: fc2.*
    spec: int8
    optional: true
  - 'fc1.*=keep'
)")
                               .string();
  const std::string json = write_file(dir / "j", R"({"scheme": "int4:g32", "min_numel": 100, "allow_unknown": true,
    "exclude": ["conv1.*", "conv2.*"],
    "rules": [{"pattern": "fc2.*", "spec": "int8", "optional": true}, "fc1.*=keep"]})")
                               .string();
  CHECK(printed_recipe({"--recipe", yaml}) == printed_recipe({"--recipe", json}));
  const Recipe recipe = parse_recipe(printed_recipe({"--rule", "a=int8", "--recipe", yaml, "--rule", "b=int8",
                                                     "--exclude", "c", "--scheme", "int2", "--allow-unknown=false"}));
  CHECK(to_string(recipe.scheme) == "int2:g128:sym:full");
  CHECK(recipe.min_numel == 100);
  CHECK_FALSE(recipe.allow_unknown);
  CHECK(recipe.exclude == std::vector<std::string>{"c", "conv1.*", "conv2.*"});
  REQUIRE(recipe.rules.size() == 4);
  CHECK(recipe.rules[0].pattern == "a");
  CHECK(recipe.rules[1].pattern == "b");
  CHECK(recipe.rules[2].optional);
}

TEST_CASE("YAML is strict: one document, no anchors, aliases or tags, types as in JSON, keys once") {
  const TempDir dir;
  if (!reads_yaml(dir)) return;
  check_refused(dir, "scheme: &a int8\n", "anchors are not allowed in recipes (line 1)");
  check_refused(dir, "scheme: int8\nkeep: *a\n", "(line 2)");
  check_refused(dir, "scheme: !!str int8\n", "tags are not allowed in recipes (line 1)");
  check_refused(dir, "only: !!seq [a]\n", "tags are not allowed in recipes (line 1)");
  check_refused(dir, "---\nscheme: int8\n---\nscheme: int4\n", "more than one YAML document (line 3)");
  check_refused(dir, "scheme: int8\nonly: [a]\nscheme: int4\n", "key twice in one object (line 3)");
  check_refused(dir, "allow_nan: yes\n", "allow_nan (line 1): expected true or false, found \"yes\"");
  check_refused(dir, "# one\nmin_numel: 0x10\n", "min_numel (line 2): expected a whole number from 0, found \"0x10\"");
  check_refused(dir, "min_numel: '5'\n", "found \"5\"");
  check_refused(dir, "only:\n - a\n - 5\n", "only[1] (line 3): expected a string, found the number 5");
  check_refused(dir, "[a]: b\n", "a key that is no text (line 1)");
  check_refused(dir, "scheme:\n", "expected a string, found nothing");
  check_refused(dir, "shceme: int8\n", "did you mean 'scheme'?");
  check_refused(dir, "only: [a\nkeep: }\n", "invalid YAML: ");
  check_refused(dir, std::string(100000, '['), "");
  check_refused(dir, "only: [" + std::string(1 << 20, 'a') + "]\n", "at most 1048576 bytes", 6);
  check_refused(dir, "", "");
  check_refused(dir, "just text\n", "expected an object");
}

TEST_CASE("a recipe file that is not there, of another task or unreadable is refused") {
  const TempDir dir;
  CHECK(run_tool({"recipe", "--recipe", (dir / "none").string()}).exit_code == 5);
  const std::string file = write_file(dir / "r.json", R"({"task": "dequantize"})").string();
  const Outcome outcome = run_tool({"quantize", kCnn, "--dry-run", "--recipe", file});
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.err, "expected quantize, found dequantize"));
  CHECK(contains(printed_recipe({"--recipe", file}), "\"dtype\": \"source\""));
}

TEST_CASE("the report of a run is a recipe that makes the same bytes again") {
  const TempDir dir;
  const std::string first = (dir / "first.safetensors").string(), second = (dir / "second.safetensors").string();
  const std::string recipe =
      write_file(dir / "r.json", R"({"scheme": "int4:g32", "if_indivisible": "channel", "rules": ["fc2.*=int8"]})")
          .string();
  REQUIRE(run_tool({"quantize", kCnn, first, "--recipe", recipe, "--rename", "fc1.=head.", "--keep", "fp16"}).exit_code ==
          0);
  const std::string report = first + ".quantization_metadata.json";
  REQUIRE(run_tool({"quantize", kCnn, second, "--recipe", report}).exit_code == 0);
  CHECK(read_file(second) == read_file(first));
  CHECK(read_file(second + ".quantization_metadata.json") == read_file(report));
  // And so does the text that is printed from it.
  const std::string third = (dir / "third.safetensors").string();
  const std::string text = write_file(dir / "p.json", printed_recipe({"--recipe", report})).string();
  REQUIRE(run_tool({"quantize", kCnn, third, "--recipe", text}).exit_code == 0);
  CHECK(read_file(third) == read_file(first));
  // A recipe knows what it wrote: a folder comes out as a folder, unless OUT says otherwise.
  const std::string folder = write_file(dir / "f.json", R"({"format": "hf_safetensors"})").string();
  REQUIRE(run_tool({"quantize", kCnn, (dir / "model").string(), "--recipe", folder}).exit_code == 0);
  CHECK(std::filesystem::is_directory(dir / "model"));
  const std::string single = write_file(dir / "s.json", R"({"format": "safetensors"})").string();
  REQUIRE(run_tool({"quantize", kCnn, (dir / "one").string(), "--recipe", single}).exit_code == 0);
  CHECK(std::filesystem::is_regular_file(dir / "one"));
}

TEST_CASE("--allow-nan quantizes what is an error otherwise, and says in which tensors and how often") {
  const TempDir dir;
  NamedBytes tensor = sample("fc.weight", DType::Float32, {64, 64});
  for (std::size_t i = 0; i < 4096; ++i) {
    const float value = i == 5 || i == 9 ? std::numeric_limits<float>::quiet_NaN()
                        : i == 70        ? -std::numeric_limits<float>::infinity()
                                         : static_cast<float>(i % 13) - 6.0F;
    std::memcpy(tensor.bytes.data() + 4 * i, &value, sizeof value);
  }
  const std::string in = (dir / "in.safetensors").string(), out = (dir / "out.safetensors").string();
  write_checkpoint(in, "safetensors", {tensor});
  const Outcome refused = run_tool({"quantize", in, out});
  CHECK(refused.exit_code == 3);
  CHECK(contains(refused.err, "--allow-nan"));
  const Outcome accepted = run_tool({"quantize", in, out, "--allow-nan"});
  CHECK(accepted.exit_code == 0);
  CHECK(contains(accepted.out, "fc.weight (2 NaN, 1 infinite)"));
  CHECK(contains(read_file(out + ".quantization_metadata.json"), "\"nan\":2"));
  const json::Value value = parse_output(run_tool({"quantize", in, out, "--allow-nan", "--overwrite", "--json"}));
  const json::Value& step = at(value, {"result", "tensors"}).as_array()->front();
  CHECK(number_at(step, {"nonfinite", "nan"}) == 2);
  CHECK(number_at(step, {"nonfinite", "infinite"}) == 1);
  CHECK(run_tool({"validate", out}).exit_code == 0);
}
