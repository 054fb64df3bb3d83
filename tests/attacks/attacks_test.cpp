#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "formats/inflate.hpp"
#include "tests/attacks/attack.hpp"
#include "tests/attacks/run_attack.hpp"
#include "tests/support/paths.hpp"

using namespace mq;

namespace {

constexpr std::size_t kMaxPeakBytes = std::size_t{512} << 20;

// A line of expected.txt: name, verdict, a part of the message.
struct Expected {
  std::string verdict;
  std::string fragment;
};

std::map<std::string, Expected> read_table() {
  std::map<std::string, Expected> table;
  std::istringstream lines(test::read_file(test::source_dir() / "tests/attacks/expected.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream fields(line);
    std::string name;
    Expected expected;
    fields >> name >> expected.verdict >> std::ws;
    std::getline(fields, expected.fragment);
    INFO(name);
    CHECK(table.emplace(name, expected).second);
  }
  return table;
}

}  // namespace

TEST_CASE("attacks: every file gets the verdict of the table, in bounded memory and with an error that names it") {
  const test::TempDir dir;
  std::map<std::string, Expected> table = read_table();
  for (const attacks::Attack& attack : attacks::all_attacks()) {
    CAPTURE(attack.name);
    const auto expected = table.find(attack.name);
    if (!formats::can_inflate() && attack.name.starts_with("zip/deflate")) {
      table.erase(expected);  // refused in other words, by a build without zlib
      continue;
    }
    if (expected == table.end()) {
      FAIL_CHECK("not in expected.txt, or twice among the attacks");
      continue;
    }
    const attacks::Outcome outcome = attacks::run(attack, dir / attacks::file_name(attack));
    CAPTURE(outcome.message);
    CHECK(outcome.verdict == expected->second.verdict);
    CHECK(outcome.message.find(expected->second.fragment) != std::string::npos);
    CHECK(outcome.complaint == "");
    CHECK(outcome.peak_bytes < kMaxPeakBytes);
    table.erase(expected);
    std::filesystem::remove(dir / attacks::file_name(attack));
  }
  for (const auto& [name, expected] : table) FAIL_CHECK("in expected.txt, but there is no such attack: " << name);
}

TEST_CASE("attacks: every code that a reader may give is given") {
  std::set<std::string> verdicts;
  for (const auto& [name, expected] : read_table()) verdicts.insert(expected.verdict);
  CHECK(verdicts == std::set<std::string>{"corrupt", "limit", "opens", "unsupported"});
}
