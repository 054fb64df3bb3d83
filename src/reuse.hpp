// Takes quantized tensors from an earlier output where the same input became the same encoding.
#pragma once

#include <optional>
#include <vector>

#include "mq/convert.hpp"

namespace mq {

class Reuse {
 public:
  // All arguments are borrowed.
  // Throws: Usage if `old` has no quantization_metadata.json, or one of another version; Io, Corrupt.
  Reuse(const Checkpoint& old, const Plan& plan);

  // Whether `old` holds the outputs of this step, if the input's tensor is still the same.
  bool may_hold(std::size_t step) const { return found_[step].has_value(); }

  // Reads the tensor of the input and takes its digest; if that is the old one, copies the stored tensors. Nothing if
  // it is another. Throws: Io, Corrupt.
  std::optional<StepReport> copy(std::size_t step, const Checkpoint& checkpoint, CheckpointWriter& writer,
                                 Executor& executor) const;

 private:
  struct Found {
    StepReport report;
    std::vector<std::size_t> stored;  // tensors of the old output, as Step::outputs
  };

  const Checkpoint& old_;
  const Plan& plan_;
  std::vector<std::optional<Found>> found_;  // by step
};

}  // namespace mq
