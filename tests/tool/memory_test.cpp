// Memory of the real program: its default bound holds for a tensor that is larger than all of it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/checkpoints.hpp"
#include "tests/support/files.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
constexpr std::int64_t kDefault = 256 * kMebibyte;

// Half a gibibyte of zeros that takes no disk.
std::string make_large(const TempDir& dir) {
  const std::string path = (dir / "large.safetensors").string();
  write_file(path, safetensors_bytes(
                       R"({"a.up_proj.weight":{"dtype":"F16","shape":[65536,4096],"data_offsets":[0,536870912]}})"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + 512 * kMebibyte);
  return path;
}

// The exit code of the tool with so much address space. What it prints goes to a file.
int run_within(std::int64_t bytes, const std::string& arguments, const std::string& output) {
  const std::string command =
      "ulimit -v " + std::to_string(bytes / 1024) + " && exec " MQ_CONVERT " " + arguments + " > " + output + " 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a tensor larger than the default memory is converted inside it, with any number of threads") {
  if (test::kAddressSanitizer) {
    MESSAGE("skipped: AddressSanitizer reserves more addresses than any limit leaves");
    return;
  }
  const TempDir dir;
  const std::string large = make_large(dir), log = (dir / "log").string();
  for (const int threads : {0, 16}) {
    CAPTURE(threads);
    const std::string out = (dir / ("out" + std::to_string(threads) + ".safetensors")).string();
    const std::string option = threads == 0 ? "" : " --threads " + std::to_string(threads);
    // Address space, which is what can be limited, also counts stacks that are hardly touched.
    const std::int64_t stacks = std::max(threads, 4) * 8 * kMebibyte;
    const int code = run_within(kDefault + stacks, "quantize " + large + " " + out + " --scheme int4" + option, log);
    CAPTURE(read_file(log));
    CHECK(code == 0);
    CHECK(std::filesystem::exists(out));
    std::filesystem::remove(out);
  }
  // A limit of this kind is felt.
  CHECK(run_within(24 * kMebibyte, "quantize " + large + " " + (dir / "no").string() + " --threads 16", log) != 0);
}

TEST_CASE("the default takes fewer threads rather than more memory, and one that is too small says what is needed") {
  const TempDir dir;
  const std::string large = make_large(dir);
  const auto cost = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"quantize", large, "--dry-run", "--json", "--scheme", "int8"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse_output(run_tool(arguments));
  };
  const json::Value many = cost({"--threads", "512"});
  CHECK(number_at(many, {"cost", "threads"}) < 512);
  CHECK(number_at(many, {"cost", "threads"}) >= 16);
  constexpr std::int64_t kLists = 4 * kMebibyte;  // of one tensor and its tiles
  CHECK(number_at(many, {"cost", "memory_bound_bytes"}) <= static_cast<double>(kDefault + kLists));

  const auto need = static_cast<std::int64_t>(number_at(cost({"--threads", "1"}), {"cost", "memory_bound_bytes"}));
  const Outcome refused = run_tool({"quantize", large, (dir / "none.safetensors").string(), "--scheme", "int8",
                                    "--max-memory", std::to_string(need - 1)});
  CHECK(refused.exit_code == 6);
  CHECK(refused.err.find("expected at most " + std::to_string(need - 1) + " bytes (--max-memory), found " +
                         std::to_string(need)) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "none.safetensors"));
}
