// Carries an attack out on a file and says what came of it.
#pragma once

#include <filesystem>
#include <string>

#include "tests/attacks/attack.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/files.hpp"
#include "tests/support/verdict.hpp"

namespace mq::attacks {

struct Outcome {
  std::string verdict;         // "opens" or the name of the error's code
  std::string problem;         // of the error, without place and numbers; empty if it opens
  std::string message;         // all that the error says
  std::string complaint;       // what is wrong with the error; else empty
  std::size_t peak_bytes = 0;  // of memory, above what was in use before
};

inline Outcome run(const Attack& attack, const std::filesystem::path& path) {
  std::filesystem::remove(path);  // some file systems flush a file that is truncated and written again
  test::write_file(path, attack.bytes);
  const test::PeakAllocation peak;
  Outcome outcome{.verdict = "opens", .problem = {}, .message = {}, .complaint = {}};
  try {
    const auto checkpoint = open_checkpoint(path, attack.options);
    if (attack.meanwhile) attack.meanwhile(path);
    test::read_within(*checkpoint);
  } catch (const Error& error) {
    outcome.verdict = to_string(error.code());
    outcome.problem = printable(error.details().message);
    outcome.message = error.what();
    outcome.complaint = test::complaint_about(error, path);
  }
  if (outcome.complaint.empty() && !attack.meanwhile) outcome.complaint = test::complaint_about_views(path);
  outcome.peak_bytes = peak.bytes();
  return outcome;
}

}  // namespace mq::attacks
