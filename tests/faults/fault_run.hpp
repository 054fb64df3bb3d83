// Runs of mq-convert in which a system call goes wrong (interpose.cpp), and what is there afterwards.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/tool/run_tool.hpp"

namespace mq::test {

// False, with a line that says so, where calls cannot be intercepted: `if (!can_interpose()) return;`
bool can_interpose();

// Names of files below a folder with their content.
using Files = std::map<std::string, std::string>;

// One way to write an output: what is there before, and the command.
struct Scenario {
  std::string name;
  std::string out;        // name of the output in the folder
  bool replaces = false;  // an older output is there
  bool unnamed = true;    // the file system has files without names
  std::string input;
  std::vector<std::string> options = {};

  bool is_directory() const { return out.find('.') == std::string::npos; }
};

// Single files and folders, new ones and ones that replace others.
std::vector<Scenario> all_scenarios();

// The folder of a scenario, put into its first state.
class Stage {
 public:
  explicit Stage(const Scenario& scenario);

  std::filesystem::path folder() const { return dir_ / "folder"; }
  std::filesystem::path out() const { return folder() / scenario_.out; }
  const Files& before() const { return before_; }
  Files files() const;

  // Starts the tool with one more thread of work; `action` at call number `at`, as interpose.cpp has it.
  RunningTool start(const std::string& action, std::size_t at, const std::string& file = {}) const;
  Outcome run(const std::string& action, std::size_t at, const std::string& file = {}) const {
    return start(action, at, file).wait();
  }
  // The calls of the runs so far, in their order.
  std::vector<std::string> calls() const;

 private:
  Scenario scenario_;
  TempDir dir_;
  Files before_;
};

// What a run leaves when nothing goes wrong, and the calls it makes.
struct CleanRun {
  explicit CleanRun(const Scenario& scenario);

  Files files;
  std::vector<std::string> calls;
  std::size_t publishes = 0;  // number of the first call that gives something a name
};

// Numbers of calls to let go wrong: all of them, or so many from the beginning, the end and between.
std::vector<std::size_t> chosen(std::size_t calls, std::size_t most = 60);

}  // namespace mq::test
