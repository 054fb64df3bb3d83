// Runs a target without libFuzzer, under any compiler: every file named, and every file below the folders named. With
// --mutations=N also N mutations of each file, always the same ones.
// Prints the file before a failure ends the process, and the number of runs at the end.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"
#include "tests/support/files.hpp"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed);

// Simple and without memory of what it did before: bytes are set, bits flipped, pieces removed or repeated.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size) {
  static mq::fuzz::Random random;
  using mq::fuzz::below;
  if (size == 0) {
    if (max_size == 0) return 0;
    data[0] = static_cast<std::uint8_t>(random());
    return 1;
  }
  const std::size_t at = below(random, size), count = 1 + below(random, std::min<std::size_t>(size - at, 8));
  switch (below(random, 4)) {
    case 0:
      data[at] = static_cast<std::uint8_t>(random());
      return size;
    case 1:
      data[at] = static_cast<std::uint8_t>(data[at] ^ (1U << below(random, 8)));
      return size;
    case 2:
      std::memmove(data + at, data + at + count, size - at - count);
      return size - count;
    default:
      if (max_size - size < count) return size;
      std::memmove(data + at + count, data + at, size - at);
      return size + count;
  }
}

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::vector<fs::path>& arguments) {
  std::vector<fs::path> files;
  for (const fs::path& argument : arguments) {
    if (!fs::is_directory(argument)) {
      files.push_back(argument);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(argument)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

const char* current = "";

void run(std::string_view input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

void run_mutations(std::string input, unsigned count) {
  const std::size_t size = input.size(), most = size + 4096;
  input.resize(most);
  for (unsigned seed = 0; seed < count; ++seed) {
    std::string changed = input;
    auto* const bytes = reinterpret_cast<std::uint8_t*>(changed.data());
    run({changed.data(), LLVMFuzzerCustomMutator(bytes, size, most, seed)});
  }
}

}  // namespace

int main(int argc, char** argv) {
  unsigned mutations = 0;
  std::vector<fs::path> arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--mutations=")) {
      mutations = static_cast<unsigned>(std::atoi(argv[i] + std::strlen("--mutations=")));
    } else {
      arguments.emplace_back(argument);
    }
  }
  std::signal(SIGABRT, [](int) { std::fprintf(stderr, "fuzz: while running %s\n", current); });
  std::size_t runs = 0;
  const std::vector<fs::path> files = files_of(arguments);
  for (const fs::path& file : files) {
    current = file.c_str();
    const std::string input = mq::test::read_file(file);
    run(input);
    run_mutations(input, mutations);
    runs += 1 + mutations;
  }
  std::printf("%zu runs of %zu files\n", runs, files.size());
  return files.empty() ? 1 : 0;
}
