#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "mq/version.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

void check_usage_error(const std::vector<std::string>& arguments, std::string_view part) {
  const Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.err);
  CAPTURE(part);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error_line(outcome.err));
  CHECK(contains(outcome.err, part));
}

}  // namespace

TEST_CASE("--version and --help print to stdout and succeed") {
  const Outcome version = run_tool({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.out == std::string("mq-convert ") + kVersion + "\n");
  for (const char* verb : {"quantize", "dequantize", "convert", "batch", "info", "compare", "validate", "audit",
                           "recipe", "schemes", "selftest"}) {
    CAPTURE(verb);
    CHECK(contains(run_tool({"--help"}).out, std::string("  ") + verb));
    const Outcome help = run_tool({verb, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.err.empty());
    CHECK(contains(help.out, std::string("usage: mq-convert ") + verb));
  }
}

TEST_CASE("the help of quantize names every option with its default, the grammar and examples") {
  const std::string help = run_tool({"quantize", "--help"}).out;
  for (const char* part :
       {"--scheme",    "--bits",          "--only",           "--include",   "--exclude",     "--rule",
        "--min-numel", "--allow-unknown", "--if-indivisible", "--keep",      "--scale-dtype", "--to",
        "--overwrite", "--dry-run",       "--threads",        "--json",      "--sha256",      "--no-sync",
        "--root",      "--effort",        "default int8",     "default 512", "default error", "NAME[:tensor|:channel",
        "kind:KIND",   "Examples:"}) {
    CAPTURE(part);
    CHECK(contains(help, part));
  }
}

TEST_CASE("a command line that makes no sense is code 2 and one line that says what to do") {
  check_usage_error({}, "missing command");
  check_usage_error({"quantise"}, "did you mean 'quantize'?");
  check_usage_error({"--verbose", "info"}, "expected a command before --verbose");
  check_usage_error({"quantize"}, "missing IN");
  check_usage_error({"quantize", kCnn}, "missing OUT");
  check_usage_error({"compare", kCnn}, "missing QUANTIZED");
  check_usage_error({"info"}, "missing FILE");
  check_usage_error({"quantize", kCnn, "x", "y"}, "one argument too many: y");
  check_usage_error({"quantize", kCnn, "x", "--shceme", "int4"}, "did you mean '--scheme'?");
  check_usage_error({"quantize", kCnn, "x", "--scheme"}, "--scheme needs a value");
  check_usage_error({"quantize", kCnn, "x", "--scheme", "int8x"}, "did you mean");
  check_usage_error({"quantize", kCnn, "x", "--bits", "four"}, "expected a whole number from 2 to 8, found four");
  check_usage_error({"quantize", kCnn, "x", "--bits", "4", "--scheme", "int4"}, "exclude each other");
  check_usage_error({"quantize", kCnn, "x", "--threads", "0"}, "a whole number from 1 to 1024");
  check_usage_error({"quantize", kCnn, "x", "--keep", "int8"}, "same, fp16 or bf16");
  check_usage_error({"quantize", kCnn, "x", "--scale-dtype", "int8"}, "float type");
  check_usage_error({"quantize", kCnn, "x", "--rule", "nonsense"}, "PATTERN=SPEC");
  check_usage_error({"quantize", kCnn, "x", "--effort", "hard"}, "expected fast, search, max or reference");
  check_usage_error({"quantize", kCnn, "x", "--effort", "reference"}, "has no foreign encoder to follow");
  check_usage_error({"quantize", kCnn, "x", "--scheme", "q4_k"}, "belong into a GGUF file");
  check_usage_error({"quantize", kCnn, "x", "--only", "nothing.*"}, "matches no tensor");
  check_usage_error({"compare", kCnn, kCnn, "--min-sqnr", "much"}, "decibels");
}

TEST_CASE("several patterns may be given, one value each, and brackets belong to the glob") {
  const TempDir dir;
  const Outcome outcome = run_tool({"quantize", kCnn, "--dry-run", "--only", "fc[12].weight", "--only", "conv3.weight",
                                    "--rule", "fc1.weight=int4:g64", "--json"});
  REQUIRE(outcome.exit_code == 0);
  std::vector<std::string> quantized;
  const json::Value value = parse_output(outcome);
  for (const json::Value& step : *at(value, {"plan", "steps"}).as_array()) {
    if (text_at(step, {"action"}) == "quantize")
      quantized.push_back(text_at(step, {"name"}) + " " + text_at(step, {"to"}));
  }
  CHECK(quantized == std::vector<std::string>{"conv3.weight int8:channel=0:sym:narrow", "fc1.weight int4:g64:sym:full",
                                              "fc2.weight int8:channel=0:sym:narrow"});
}

TEST_CASE("the container follows the suffix of OUT, and one that cannot be written is refused with those that can") {
  const TempDir dir;
  const auto refused = [&](const std::string& name, std::vector<std::string> more, std::string_view part) {
    std::vector<std::string> arguments = {"quantize", kCnn, (dir / name).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_usage_error(arguments, part);
    CHECK(names_in(dir.path()).empty());
  };
  refused("out.ckpt", {}, "the suffix names no container");
  refused("out.gguf", {}, "GGUF cannot hold this encoding");
  refused("out.safetensors", {"--to", "pt"}, "torch");
  refused("out.safetensors", {"--scheme", "q8_0", "--only", "fc1.weight"}, "call the output NAME.gguf");
  refused("out.safetensors", {"--mix", "q4_k_m"}, "types of GGUF files");
  refused("out.gguf", {"--scheme", "q4_k_m"}, "ask for it with --mix q4_k_m");
  refused("out.gguf", {"--mix", "q4_k_x"}, "--mix");
  refused("out.gguf", {"--mix", "q4_k_m", "--scheme", "q4_k"}, "exclude each other");
  refused("out.safetensors", {"--like", "base.gguf"}, "--like is for GGUF files");
  refused("out.safetensor", {}, "did you mean '.safetensors'?");
  refused("out.onnx", {}, "the suffix names no container");
  refused("out", {"--to", "onnx"}, "safetensors, torch or gguf");
}

TEST_CASE("a name without a suffix is a directory, and so is one that only looks as if it had a suffix") {
  const TempDir dir;
  for (const char* name : {"plain", "Model-3.2-1B", "v1.5"}) {
    CAPTURE(name);
    CHECK(run_tool({"quantize", kCnn, "-o", (dir / name).string()}).exit_code == 0);
    CHECK(std::filesystem::exists(dir / name / "model.safetensors"));
  }
  CHECK(run_tool({"quantize", kCnn, (dir / "model.st").string(), "--to", "safetensors"}).exit_code == 0);
  CHECK(std::filesystem::is_regular_file(dir / "model.st"));
}

TEST_CASE("stdout that cannot be written is code 5, and no output is made then") {
  const TempDir dir;
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"schemes"},
                                                    {"info", kCnn},
                                                    {"info", kCnn, "--json"},
                                                    {"quantize", kCnn, (dir / "out.safetensors").string()}}) {
    const Outcome outcome = run_tool(arguments, "/dev/full");
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 5);
    CHECK(is_one_error_line(outcome.err));
  }
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("a reader that goes away is an error of writing, not a silent death") {
  const TempDir dir;
  const std::string fifo = (dir / "fifo").string();
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  // Opened for reading first, so that the tool can open it for writing; closed before the tool writes anything.
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  RunningTool tool({"info", kCnn}, fifo);
  close(reader);
  const Outcome outcome = tool.wait();
  CAPTURE(outcome.err);
  // The tool may have been quick enough to fill the pipe before its reader went away.
  CHECK((outcome.exit_code == 5 || outcome.exit_code == 0));
}

TEST_CASE("schemes lists every encoding with bits per weight and who loads it") {
  const Outcome outcome = run_tool({"schemes"});
  CHECK(outcome.exit_code == 0);
  for (const char* part :
       {"int8 ", "int2 ", "uint4", "fp8_e4m3", "bf16", "8.004", "4.125", "vLLM", "mq only", "nf4", "llama.cpp"}) {
    CAPTURE(part);
    CHECK(contains(outcome.out, part));
  }
  const json::Value value = parse_output(run_tool({"schemes", "--json"}));
  for (const json::Value& preset : *at(value, {"presets"}).as_array()) {
    CHECK(contains(outcome.out, *preset.find("for")->as_string()));
  }
  CHECK(at(value, {"schemes"}).as_array()->size() > 10);
  for (const json::Value& row : *at(value, {"schemes"}).as_array()) {
    const std::string& name = *row.find("name")->as_string();
    // No runtime's files hold these: they are for programs that quantize in memory.
    const bool in_memory = name.starts_with("hqq") || name == "mxfp8_e5m2";
    CHECK(row.find("dialect")->as_string()->empty() == in_memory);
    if (name == "nf4") CHECK(*row.find("dialect")->as_string() == "bitsandbytes");
    if (name == "q4_k") CHECK(*row.find("dialect")->as_string() == "gguf");
  }
}

TEST_CASE("an encoding that no layout of files holds is refused before anything is read") {
  const TempDir dir;
  const Outcome outcome = run_tool({"quantize", kCnn, (dir / "out.safetensors").string(), "--scheme", "nf4:channel"});
  CHECK(outcome.exit_code == 2);
  CHECK(is_one_error_line(outcome.err));
  for (const char* part :
       {"conv", "nf4:channel", "an integer, fp8, nvfp4, mxfp4:g32 or mxfp8 encoding", "--dialect bitsandbytes"}) {
    CAPTURE(part);
    CHECK(contains(outcome.err, part));
  }
  CHECK(names_in(dir.path()).empty());
}
