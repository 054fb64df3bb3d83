// Whether a checkpoint holds what it says: structure against configuration, and the numbers in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"

namespace mq {

struct Finding {
  enum class Severity { Warning, Failure };
  Severity severity = Severity::Failure;
  std::string tensor;
  std::string message;  // what was expected and what was found
};

struct Validation {
  std::vector<Finding> findings;  // in tensor order
  std::int64_t tensors = 0;       // logical tensors looked at
  std::int64_t quantized = 0;

  bool ok() const noexcept {
    for (const Finding& f : findings) {
      if (f.severity == Finding::Severity::Failure) return false;
    }
    return true;
  }
};

// Checks every tensor: scales finite and not zero, codes and zero points in range, shapes and groups against the
// configuration, parts that are missing or left over, NaN and infinity in float tensors. If the checkpoint came with
// quantization_metadata.json, its tensors must be there with the specs it names.
// Throws: Io, Corrupt (a file that cannot be opened), Unsupported (a newer metadata schema, with both numbers).
// runtime: also hold the weights against the rules of this program (mq/destination.hpp); empty: of none.
Validation validate(const Checkpoint& checkpoint, Executor& executor, std::string_view runtime = {});

}  // namespace mq
