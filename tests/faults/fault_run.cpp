#include "tests/faults/fault_run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"

namespace mq::test {
namespace {

namespace fs = std::filesystem;

// Small enough that every call of a run can go wrong in turn.
const std::string kInput = (data_dir() / "pt" / "state_dict.pt").string();
const std::vector<std::string> kOptions = {"--min-numel", "16"};

#ifdef MQ_INTERPOSE
constexpr const char* kInterpose = MQ_INTERPOSE;
#else
constexpr const char* kInterpose = "";
#endif

}  // namespace

bool can_interpose() {
  if (*kInterpose != '\0') return true;
  std::printf("skipped: system calls of this build of mq-convert cannot be intercepted\n");
  return false;
}

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (const bool replaces : {false, true}) {
    const std::string how = replaces ? "replaced" : "new";
    all.push_back({how + " file", "out.safetensors", replaces, true, kInput, kOptions});
    all.push_back({how + " file with a temporary name", "out.safetensors", replaces, false, kInput, kOptions});
    all.push_back({how + " folder", "out", replaces, true, kInput, kOptions});
    all.push_back({how + " file for PyTorch", "out.pt", replaces, true, kInput, kOptions});
  }
  return all;
}

Stage::Stage(const Scenario& scenario) : scenario_(scenario) {
  fs::create_directory(folder());
  if (scenario.replaces && scenario.is_directory()) {
    write_checkpoint(out(), "hf_safetensors", {sample("old", DType::UInt8, {64})});
    write_file(out() / "quantization_metadata.json", "old");
    write_file(out() / "tokenizer.json", "old");  // which the new one does not have
  } else if (scenario.replaces) {
    write_checkpoint(out(), "safetensors", {sample("old", DType::UInt8, {64})});
    write_file(out().string() + ".quantization_metadata.json", "old");
  }
  before_ = files();
}

Files Stage::files() const {
  Files found;
  for (const auto& entry : fs::recursive_directory_iterator(folder())) {
    const std::string name = entry.path().lexically_relative(folder()).string();
    found[name] = entry.is_regular_file() ? read_file(entry.path()) : "(not a file)";
  }
  return found;
}

RunningTool Stage::start(const std::string& action, std::size_t at, const std::string& file) const {
  std::vector<std::string> arguments = {"quantize", scenario_.input, out().string(), "--threads", "1"};
  arguments.insert(arguments.end(), scenario_.options.begin(), scenario_.options.end());
  if (scenario_.replaces) arguments.emplace_back("--overwrite");
  return RunningTool(
      arguments, {},
      {std::string("LD_PRELOAD=") + kInterpose, "MQ_FAULT_FOLDER=" + folder().string(),
       "MQ_FAULT_LOG=" + (dir_ / "log").string(), "MQ_FAULT_AT=" + std::to_string(at), "MQ_FAULT_DO=" + action,
       "MQ_FAULT_FILE=" + file, std::string("MQ_FAULT_UNNAMED=") + (scenario_.unnamed ? "" : "no")});
}

std::vector<std::string> Stage::calls() const {
  std::vector<std::string> names;
  std::istringstream lines(read_file(dir_ / "log"));
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  return names;
}

CleanRun::CleanRun(const Scenario& scenario) {
  const Stage stage(scenario);
  const Outcome outcome = stage.run("", 0);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  files = stage.files();
  calls = stage.calls();
  const auto names = [](const std::string& call) { return call.starts_with("link") || call.starts_with("rename"); };
  publishes = static_cast<std::size_t>(std::find_if(calls.begin(), calls.end(), names) - calls.begin()) + 1;
  REQUIRE(publishes <= calls.size());
}

std::vector<std::size_t> chosen(std::size_t calls, std::size_t most) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 1; i <= calls; ++i) {
    const std::size_t edge = most / 3;
    const std::size_t step = calls > most ? (calls - 2 * edge) / edge + 1 : 1;
    if (i <= edge || i + edge > calls || i % step == 0) numbers.push_back(i);
  }
  return numbers;
}

}  // namespace mq::test
