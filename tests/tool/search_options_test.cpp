// --effort and --objective: what they do to an output, what is said of it, what they refuse.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/checkpoints.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

std::vector<std::string> quantize(const std::string& out, std::initializer_list<std::string> more) {
  std::vector<std::string> arguments = {"quantize", kCnn, out, "--only", "fc1.weight", "--scheme", "int3:g64", "--json"};
  arguments.insert(arguments.end(), more);
  return arguments;
}

double sqnr_db(const Outcome& outcome) {
  REQUIRE(outcome.exit_code == 0);
  return number_at(parse_output(outcome), {"result", "total", "sqnr_db"});
}

// One float for each column of fc1.
std::string write_importance(const TempDir& dir, const std::string& name, std::int64_t columns) {
  const std::string path = (dir / "importance.safetensors").string();
  const std::int64_t bytes = 4 * columns;
  std::string text = safetensors_bytes(R"({")" + name + R"(":{"dtype":"F32","shape":[)" + std::to_string(columns) +
                                       R"(],"data_offsets":[0,)" + std::to_string(bytes) + "]}}");
  for (std::int64_t i = 0; i < columns; ++i) {
    const float value = i % 16 == 0 ? 50.0f : 1.0f;
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  write_file(path, text);
  return path;
}

}  // namespace

TEST_CASE("more effort, less error, the same size; the plan and the report say which") {
  const TempDir dir;
  double before = 0;
  std::uintmax_t size = 0;
  for (const char* effort : {"fast", "search", "max"}) {
    CAPTURE(std::string(effort));
    const std::string out = (dir / (std::string(effort) + ".safetensors")).string();
    const double db = sqnr_db(run_tool(quantize(out, {"--effort", effort})));
    CHECK(db > before);
    before = db;
    const std::uintmax_t bytes = std::filesystem::file_size(out);
    if (size != 0) CHECK(bytes == size);
    size = bytes;
    const std::string report = read_file(out + ".quantization_metadata.json");
    CHECK(contains(report, std::string("\"effort\":\"") + effort));
  }
  const Outcome plan = run_tool(quantize((dir / "x.safetensors").string(), {"--dry-run"}));
  CHECK(contains(plan.out, "\"effort\": \"search\""));
}

TEST_CASE("the objective importance takes a file, and another one makes other bytes") {
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const std::string file = write_importance(dir, "fc1.in_sq_mean", 3136);
  const double plain = sqnr_db(run_tool(quantize(out, {})));
  const double weighted = sqnr_db(run_tool(quantize(out, {"--objective", "importance:" + file, "--overwrite"})));
  CHECK(weighted < plain);
  CHECK(contains(read_file(out + ".quantization_metadata.json"), "importance_digest"));
  // The recipe alone does not hold the weights.
  const Outcome again = run_tool({"quantize", kCnn, (dir / "again.safetensors").string(), "--recipe",
                                  out + ".quantization_metadata.json"});
  CHECK(again.exit_code == 2);
  CHECK(contains(again.err, "--objective importance:FILE"));
}

TEST_CASE("importance that does not fit is refused by name, and nothing is written") {
  const TempDir dir;
  const TempDir given;
  const std::string out = (dir / "out.safetensors").string();
  const auto refused = [&](const std::string& objective, int code, std::initializer_list<const char*> parts) {
    const Outcome outcome = run_tool(quantize(out, {"--objective", objective}));
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == code);
    for (const char* part : parts) CHECK(contains(outcome.out + outcome.err, part));
    CHECK(names_in(dir.path()).empty());
  };
  refused("importance:" + write_importance(given, "fc1.in_sq_mean", 3135), 2, {"fc1.weight", "3136", "3135"});
  refused("importance:" + write_importance(given, "fc2.in_sq_mean", 3136), 2, {"fc1.weight", "no importance"});
  refused("importance:" + (given / "missing").string(), 5, {"missing"});
  refused("importance", 2, {"mse, magnitude"});
  refused("mae", 2, {"mse, magnitude"});
}
