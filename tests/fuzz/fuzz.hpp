// What the fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput: libFuzzer, AFL++ and the main
// of this folder run it. What must not happen ends the process by abort.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "mq/error.hpp"
#include "tests/support/verdict.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace mq::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Says what happened and aborts.
[[noreturn]] void fail(std::string_view what);

// The path of a file in memory with this content. There is one such file in a process: the next call replaces it.
const std::filesystem::path& input_file(std::string_view content);

// Runs body, which may throw an mq::Error that complains about the file as errors should; everything else fails.
template <class Body>
void expect_verdict(const std::filesystem::path& path, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    if (const std::string complaint = test::complaint_about(error, path); !complaint.empty()) fail(complaint);
  } catch (const std::exception& error) {
    fail(std::string("an exception that is no mq::Error: ") + error.what());
  }
}

// Opens the file and reads from it.
void open_and_read(const std::filesystem::path& path, const OpenOptions& options = {});

// The same, and the file as `info --tree` and `audit` see it.
void open_and_look(const std::filesystem::path& path);

}  // namespace mq::fuzz
