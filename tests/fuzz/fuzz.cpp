#include "tests/fuzz/fuzz.hpp"

#include <cstdio>
#include <cstdlib>

#include "tests/support/memory_file.hpp"

namespace mq::fuzz {

void fail(std::string_view what) {
  std::fprintf(stderr, "fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

const std::filesystem::path& input_file(std::string_view content) {
  static test::MemoryFile file;
  return file.put(content);
}

void open_and_read(const std::filesystem::path& path, const OpenOptions& options) {
  expect_verdict(path, [&] { test::read_within(*open_checkpoint(path, options)); });
}

void open_and_look(const std::filesystem::path& path) {
  open_and_read(path);
  try {
    if (const std::string complaint = test::complaint_about_views(path); !complaint.empty()) fail(complaint);
  } catch (const std::exception& error) {
    fail(std::string("an exception that is no mq::Error: ") + error.what());
  }
}

}  // namespace mq::fuzz
