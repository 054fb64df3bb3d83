// Writes the attacks to a folder, one file each: attack_files FOLDER
// Prints what the readers say about each, in the form of expected.txt: attack_files --table
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/attacks/attack.hpp"
#include "tests/attacks/run_attack.hpp"

namespace {

using namespace mq;

// Of a text from another library, whose versions differ, only what is ours.
std::string fragment(const attacks::Outcome& outcome) {
  const std::string& text = outcome.problem;
  return text.substr(0, std::min({text.find(": syntax error"), std::size_t{70}}));
}

void print_table() {
  const test::TempDir dir;
  for (const attacks::Attack& attack : attacks::all_attacks()) {
    const attacks::Outcome outcome = attacks::run(attack, dir / "attack");
    std::printf("%-52s %-12s%s\n", attack.name.c_str(), outcome.verdict.c_str(), fragment(outcome).c_str());
    if (!outcome.complaint.empty()) std::printf("# %s\n", outcome.complaint.c_str());
    if (outcome.peak_bytes > std::size_t{64} << 20) std::printf("# %zu MiB\n", outcome.peak_bytes >> 20);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: attack_files FOLDER | --table\n");
    return 2;
  }
  if (argv[1] == std::string_view("--table")) {
    print_table();
    return 0;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  for (const attacks::Attack& attack : attacks::all_attacks()) {
    test::write_file(folder / attacks::file_name(attack), attack.bytes);
  }
}
