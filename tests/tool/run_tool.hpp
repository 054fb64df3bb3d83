// Runs the real mq-convert as a process of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/text.hpp"

namespace mq::test {

struct Outcome {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string out;
  std::string err;
};

class RunningTool {
 public:
  // stdout goes to stdout_path if one is given; `environment` ("NAME=VALUE") is added to that of this process.
  explicit RunningTool(const std::vector<std::string>& arguments, const std::string& stdout_path = {},
                       std::vector<std::string> environment = {})
      : out_(stdout_path.empty() ? (folder_ / "out").string() : stdout_path), err_((folder_ / "err").string()) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), kFlags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err_.c_str(), kFlags, 0600);
    std::vector<std::string> words = {MQ_CONVERT};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (std::string& variable : environment) envp.push_back(variable.data());
    for (char** variable = environ; *variable != nullptr; ++variable) envp.push_back(*variable);
    envp.push_back(nullptr);
    const int problem = posix_spawn(&process_, MQ_CONVERT, &actions, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) throw std::runtime_error("cannot start " MQ_CONVERT);
  }

  void send(int signal) { kill(process_, signal); }

  // Whether it has opened a file below a folder, with a name or without, other than `input`.
  bool has_opened(const std::filesystem::path& folder, const std::filesystem::path& input) const {
    std::error_code gone;
    std::filesystem::directory_iterator entry("/proc/" + std::to_string(process_) + "/fd", gone), end;
    for (; !gone && entry != end; entry.increment(gone)) {
      std::error_code closed;
      const std::string file = std::filesystem::read_symlink(entry->path(), closed).string();
      if (file.starts_with(folder.string() + "/") && file != input.string()) return true;
    }
    return false;
  }

  Outcome wait() {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0) {
    }
    Outcome outcome;
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    if (std::filesystem::is_regular_file(out_)) outcome.out = read_file(out_);
    outcome.err = read_file(err_);
    return outcome;
  }

 private:
  TempDir folder_;
  std::string out_;
  std::string err_;
  pid_t process_ = -1;
};

inline Outcome run_tool(const std::vector<std::string>& arguments, const std::string& stdout_path = {}) {
  return RunningTool(arguments, stdout_path).wait();
}

// Whether a text is one whole line as the tool prints its errors.
inline bool is_one_error_line(const std::string& text) {
  return text.starts_with("mq-convert: ") && std::count(text.begin(), text.end(), '\n') == 1 && text.back() == '\n';
}

// Every file below a folder with its content: equal snapshots mean that nothing changed.
inline std::map<std::string, std::string> snapshot(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    files[entry.path().string()] = entry.is_regular_file() ? read_file(entry.path()) : "(not a file)";
  }
  return files;
}

// The one JSON object that --json prints.
inline json::Value parse_output(const Outcome& outcome) {
  return json::parse(outcome.out, "stdout");
}

// A member of nested objects: at(value, {"error", "code"}).
inline const json::Value& at(const json::Value& value, std::initializer_list<std::string_view> keys) {
  const json::Value* found = &value;
  for (const std::string_view key : keys) {
    found = found->find(key);
    if (found == nullptr) throw std::runtime_error("no member " + std::string(key) + " in the output");
  }
  return *found;
}

inline std::string text_at(const json::Value& value, std::initializer_list<std::string_view> keys) {
  const std::string* text = at(value, keys).as_string();
  return text == nullptr ? "(not a string)" : *text;
}

inline double number_at(const json::Value& value, std::initializer_list<std::string_view> keys) {
  const json::Value& number = at(value, keys);
  if (const std::int64_t* whole = number.as_int()) return static_cast<double>(*whole);
  const double* real = number.as_double();
  return real == nullptr ? -12345.0 : *real;
}

}  // namespace mq::test
