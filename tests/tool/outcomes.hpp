// Runs of the tool that must end in a way, and the values of what they wrote.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mq/mq.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/tool/run_tool.hpp"

namespace mq::test {

inline Outcome must_run(const std::vector<std::string>& arguments) {
  Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome;
}

inline void must_refuse(const std::vector<std::string>& arguments, std::string_view part) {
  const Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.err, part));
}

inline Tensor values_of(const std::filesystem::path& path, const std::string& name) {
  const auto checkpoint = open_checkpoint(path);
  for (const LogicalTensor& tensor : describe(*checkpoint).tensors) {
    if (tensor.info.name == name) return read_float(*checkpoint, tensor);
  }
  throw std::runtime_error("no tensor " + name);
}

inline bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

}  // namespace mq::test
