// The engine: runs a plan, streaming row bands from a checkpoint to a writer in memory that does not depend on the size
// of the model or of its largest tensor.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"
#include "mq/metrics.hpp"
#include "mq/plan.hpp"

namespace mq {

struct Progress {
  std::int64_t bytes_done = 0;   // of input tensors
  std::int64_t bytes_total = 0;
  std::string_view tensor;       // one being worked on
};

struct StepReport {
  std::string id;
  ErrorStats error;    // of quantized steps; numel 0 for others
  NonfiniteCounts nonfinite;  // of quantized steps, if Recipe::allow_nan
  std::string digest;  // of the input's stored bytes: "xxh3-128:HEX" or "sha256:HEX", empty for dropped steps

  bool operator==(const StepReport&) const = default;
};

struct ConvertOptions {
  // Called now and then, from any thread but never from two at a time. Returning false cancels.
  std::function<bool(const Progress&)> progress;
  // Called when a step is complete, in the order of the plan and from the thread that called convert().
  std::function<void(const Step&, const StepReport&)> step_done;
};

struct Report {
  std::vector<StepReport> steps;  // one for each step of the plan
  ErrorStats total;               // over all quantized steps
  std::vector<std::string> warnings;  // tensors below 10 dB
  std::int64_t output_bytes = 0;      // on disk: CheckpointWriter::size_bytes()
};

// Runs the plan: begins the writer, writes every tensor and quantization_metadata.json, finishes the writer.
// The bytes written depend on input and plan only, not on the executor, the instruction set or the machine.
// Throws: Numeric naming tensor and count (NaN or infinity in a tensor to quantize unless the recipe allows them,
// overflow of a cast), Io, Corrupt, Cancelled. Nothing is left under the output's name then.
Report convert(const Checkpoint& checkpoint, const Plan& plan, CheckpointWriter& writer, Executor& executor,
               const ConvertOptions& options = {});

// The text of quantization_metadata.json: schema version, recipe with every default spelled out, spec, error and digest
// of each tensor. Holds no time, host, path or thread count: equal inputs and options give equal text.
std::string quantization_metadata(const Plan& plan, const Report& report);

// Reads the range of every float tensor.
// Throws: Numeric on NaN or infinity, Io, Corrupt.
Analysis analyse(const Checkpoint& checkpoint, const Source& source, Executor& executor);

}  // namespace mq
