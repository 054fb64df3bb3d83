// What a conversion will take of this machine, known before anything is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "mq/estimate.hpp"
#include "tools/mq-convert/target.hpp"

namespace mq::tool {

struct Cost {
  int threads = 1;
  MemoryBound memory;
  std::int64_t file_bytes = 0;             // of the output's files without the report: exact
  std::int64_t report_bytes = 0;           // of quantization_metadata.json, at most
  std::filesystem::path folder;            // where the output goes; empty if no output is named
  std::optional<std::int64_t> free_bytes;  // there, for this user
  std::optional<SpeedEstimate> speed;      // if it was measured

  std::int64_t memory_bytes() const noexcept { return memory.at(threads); }  // at most
  std::int64_t disk_bytes() const noexcept { return file_bytes + report_bytes; }
};

Cost cost_of(const Plan& plan, const Target& target, int threads);

}  // namespace mq::tool
