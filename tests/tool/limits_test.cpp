// Limits and names: options of every command that reads.
#include <doctest/doctest.h>

#include "mq/limits.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/torch_files.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

void check_says(const Outcome& outcome, int exit_code, std::initializer_list<std::string_view> parts) {
  CAPTURE(outcome.out);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == exit_code);
  if (exit_code != 0) CHECK(is_one_error_line(outcome.err));
  for (const std::string_view part : parts) {
    CAPTURE(part);
    CHECK(contains(exit_code == 0 ? outcome.out : outcome.err, part));
  }
}

// A file of a few hundred bytes whose one tensor claims side * side floats.
std::string expanded_file(const TempDir& dir, std::int64_t side) {
  PickleBuilder pickle;
  pickle.proto().empty_dict().text("big.weight").tensor({.numel = 6}, 0, {side, side}, {0, 0}).setitem();
  write_file(dir / "m.pt", torch_bytes({.pickle = pickle.bytes() + ".", .storages = {float_bytes(6)}}));
  return (dir / "m.pt").string();
}

}  // namespace

TEST_CASE("--limits prints every limit with its value and its option, as text and as JSON") {
  const Outcome text = run_tool({"--limits"});
  CHECK(text.exit_code == 0);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--limits", "--json"}, {"--json", "--limits"}}) {
    const json::Value value = parse_output(run_tool(arguments));
    CHECK(text_at(value, {"command"}) == "limits");
    const json::Array& rows = *at(value, {"limits"}).as_array();
    REQUIRE(rows.size() == all_limits().size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const LimitInfo& limit = all_limits()[i];
      CHECK(text_at(rows[i], {"name"}) == limit.name);
      CHECK(text_at(rows[i], {"option"}) == "--max-" + std::string(limit.name));
      CHECK(text_at(rows[i], {"meaning"}) == limit.help);
      CHECK(number_at(rows[i], {"value"}) == static_cast<double>(Limits{}.*limit.value));
      CHECK(contains(text.out, "--max-" + std::string(limit.name) + " N"));
      CHECK(contains(text.out, limit.help));
    }
  }
}

TEST_CASE("every command that reads takes every limit, and the help mentions them in one line") {
  for (const char* verb : {"quantize", "dequantize", "convert", "info", "compare", "validate"}) {
    CAPTURE(verb);
    const std::string help = run_tool({verb, "--help"}).out;
    for (const char* part :
         {"--max-NAME N", "mq-convert --limits", "--strip-prefix", "--rename", "--strict", "--root"}) {
      CAPTURE(part);
      CHECK(contains(help, part));
    }
    CHECK_FALSE(contains(help, "--max-depth"));
    std::vector<std::string> arguments = {verb, kCnn};
    if (std::string(verb) == "compare") arguments.push_back(kCnn);
    if (std::string(verb) == "quantize" || std::string(verb) == "dequantize" || std::string(verb) == "convert") {
      arguments.push_back("--dry-run");
    }
    for (const LimitInfo& limit : all_limits()) {
      arguments.push_back("--max-" + std::string(limit.name));
      arguments.push_back(std::to_string(Limits{}.*limit.value));
    }
    arguments.push_back("--strict");
    check_says(run_tool(arguments), 0, {});
  }
  CHECK_FALSE(contains(run_tool({"schemes", "--help"}).out, "--max-"));
}

TEST_CASE("a limit that is crossed is code 6 and names its option; a value that is none is code 2") {
  check_says(run_tool({"info", kCnn, "--max-entries", "3"}), 6, {"at most 3", "--max-entries raises this limit"});
  check_says(run_tool({"compare", kCnn, kCnn, "--max-nodes", "5"}), 6, {"--max-nodes"});
  check_says(run_tool({"info", kCnn, "--max-depth", "0"}), 2, {"--max-depth", "a whole number from 1 to"});
  check_says(run_tool({"info", kCnn, "--max-depht", "5"}), 2, {"did you mean '--max-depth'?"});
  check_says(run_tool({"info", kCnn, "--max-rank", "many"}), 2, {"found many"});
}

TEST_CASE("tensors far larger than their file are listed, and refused before a conversion writes anything") {
  const TempDir dir;
  const std::string file = expanded_file(dir, 5000);
  check_says(run_tool({"info", file}), 0, {"big.weight", "100.0 MB"});
  const auto before = snapshot(dir.path());
  const std::string out = (dir / "out.safetensors").string();
  for (const char* verb : {"quantize", "convert"}) {
    check_says(run_tool({verb, file, out}), 6,
               {"tensor big.weight", "at most 64", "--max-expansion raises this limit"});
    check_says(run_tool({verb, file, "--dry-run"}), 6, {"tensor big.weight", "100000000 bytes from"});
    check_says(run_tool({verb, file, "--dry-run", "--max-expansion", "1000000"}), 0, {});
  }
  CHECK(snapshot(dir.path()) == before);
  check_says(run_tool({"convert", expanded_file(dir, 1000), out}), 0, {});
}

TEST_CASE("a name longer than readers take is refused before anything is written, in files and in folders") {
  const TempDir dir;
  const std::string name(5000, 'n');
  write_checkpoint(dir / "m.pt", "safetensors", {sample("short", DType::Float32, {2, 2})});
  const std::string file = (dir / "m.pt").string();
  const auto before = snapshot(dir.path());
  for (const char* target : {"out.safetensors", "out"}) {
    const std::string out = (dir / target).string();
    check_says(run_tool({"convert", file, out, "--rename", "short=" + name}), 6,
               {"at most 4096", "found 5000", "--max-output-name-bytes raises this limit"});
    CHECK(snapshot(dir.path()) == before);
    check_says(run_tool({"convert", file, "--dry-run", "--rename", "short=" + name}), 6, {"--max-output-name-bytes"});
  }
  check_says(run_tool({"convert", file, (dir / "out").string(), "--rename", "short=" + name, "--max-output-name-bytes",
                       "5000"}),
             0, {});
}

TEST_CASE("names are changed before patterns see them, and land in the output") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  check_says(run_tool({"quantize", kCnn, out, "--rename", "fc1.=head.", "--rename", "conv1.weight=stem", "--exclude",
                       "head.*"}),
             0, {"head.weight"});
  const auto checkpoint = open_checkpoint(out);
  CHECK(checkpoint->find("head.weight"));
  CHECK(checkpoint->find("stem"));
  CHECK_FALSE(checkpoint->find("fc1.weight"));
  // compare renames the original.
  check_says(
      run_tool({"compare", kCnn, out, "--rename", "fc1.=head.", "--rename", "conv1.weight=stem", "--min-sqnr", "30"}),
      0, {"20 tensors without any error"});
  check_says(run_tool({"info", kCnn, "--strip-prefix", "fc1.", "--json"}), 0, {"\"weight\""});
}

TEST_CASE("a rename or prefix that fits nothing is code 2 and says what is near") {
  check_says(run_tool({"info", kCnn, "--strip-prefix", "fc."}), 2, {"no name begins so", "did you mean 'fc1.'?"});
  check_says(run_tool({"info", kCnn, "--rename", "fc1.wieght=x"}), 2, {"did you mean 'fc1.weight'?"});
  check_says(run_tool({"info", kCnn, "--rename", "fc1.=fc2."}), 2, {"two tensors would have this name", " and "});
  check_says(run_tool({"info", kCnn, "--rename", "fc1"}), 2, {"expected OLD=NEW"});
  check_says(run_tool({"info", kCnn, "--rename", "=x"}), 2, {"expected OLD=NEW"});
  check_says(run_tool({"info", kCnn, "--strip-prefix", ""}), 2, {"empty"});
}
