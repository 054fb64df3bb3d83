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
  std::int64_t bytes_done = 0;  // of input tensors
  std::int64_t bytes_total = 0;
  std::string_view tensor;  // one being worked on
};

struct StepReport {
  SharedString id;
  ErrorStats error;           // of quantized steps; numel 0 for others
  NonfiniteCounts nonfinite;  // of quantized steps, if Recipe::allow_nan
  SharedString digest;        // of the input's stored bytes: "xxh3-128:HEX" or "sha256:HEX", empty for dropped steps

  bool operator==(const StepReport&) const = default;
};

struct ConvertOptions {
  // Called now and then, from any thread but never from two at a time. Returning false cancels.
  std::function<bool(const Progress&)> progress = {};
  // Called when a step is complete, from the thread that called convert(): first for what is resumed or reused, then in
  // the order of the plan.
  std::function<void(const Step&, const StepReport&)> step_done = {};
  // An earlier output, with its quantization_metadata.json beside it. Quantized tensors whose input has the digest and
  // whose encoding is the one written there are copied from it instead of made again; that its bytes are what was
  // written is taken for granted (validate() looks).
  const Checkpoint* reuse = nullptr;
  // Of a writer that is resumed: after so many bytes of output, or ten seconds, what was written is made durable and
  // noted.
  std::int64_t journal_bytes = std::int64_t{1} << 30;
  // Whether the squares in StepReport::error are weighed with Step::importance, where a step has it.
  bool weigh_errors = false;
};

struct Report {
  std::vector<StepReport> steps;      // one for each step of the plan
  ErrorStats total;                   // over all quantized steps
  std::vector<std::string> warnings;  // tensors below 10 dB
  std::int64_t output_bytes = 0;      // on disk: CheckpointWriter::size_bytes()
  std::int64_t resumed = 0;           // steps whose bytes an earlier, unfinished run had written
  std::int64_t reused = 0;            // steps whose bytes were copied from ConvertOptions::reuse
  std::vector<std::string> notes;     // what of the unfinished run was not used, and why
};

// Runs the plan: begins the writer, writes every tensor and quantization_metadata.json, finishes the writer. A writer
// made with CreateOptions::resume goes on with what an earlier run of the same plan on the same input has left, and
// ends with the bytes of a run that was not interrupted; if this run fails, it leaves what it has done for the next
// one. The bytes written depend on input and plan only, not on the executor, the instruction set or the machine.
// Throws: Numeric naming tensor and count (NaN or infinity in a tensor to quantize unless the recipe allows them,
// overflow of a cast), Io, Corrupt (also if a file of the input has changed since it was opened), Cancelled. Nothing is
// left under the output's name then. Usage if the unfinished run was another one (the message says what differs), or if
// `reuse` cannot be used.
Report convert(const Checkpoint& checkpoint, const Plan& plan, CheckpointWriter& writer, Executor& executor,
               const ConvertOptions& options = {});

// The text of quantization_metadata.json: schema version, recipe with every default spelled out, spec, error and digest
// of each tensor. Holds no time, host, path or thread count: equal inputs and options give equal text.
std::string quantization_metadata(const Plan& plan, const Report& report);

// Reads the range of every float tensor.
// Throws: Numeric on NaN or infinity, Io, Corrupt.
Analysis analyse(const Checkpoint& checkpoint, const Source& source, Executor& executor);

// Reads what errors of each weight matter, for Recipe::weigh_tensors: a float tensor with one number, called like the
// weight, for each.
// Throws: Usage for other tensors, and for numbers that are negative or not finite; Corrupt, Io.
void add_sensitivity(Analysis& analysis, const Checkpoint& statistics);

// Encodes every tensor that recipe.budget decides about in each candidate, and says what it costs and loses, for
// Analysis::rates. Errors are weighed with analysis.importance if that is the recipe's objective, and with
// analysis.sensitivity if it asks for that. Takes one conversion
// for each candidate, without writing. progress: as in ConvertOptions, once through for each candidate.
// Throws: as make_plan() and convert(); Usage for a tensor without a sensitivity. Candidates that no tensor's rows are
// divided by are no error.
Rates measure_rates(const Checkpoint& checkpoint, const Source& source, const Recipe& recipe, const Analysis& analysis,
                    Executor& executor, const std::function<bool(const Progress&)>& progress = {});

// The plans that measure_rates() runs, one for each candidate: for estimates of what it takes.
std::vector<Recipe> measuring_recipes(const Recipe& recipe);

// Reads what each input column of the weights matters, for Objective::Importance: a float tensor for each weight, as
// long as the weight has columns. It is called like the weight, or like the weight or its layer with ".in_sq_mean"
// (means of squares); or, as llama.cpp's imatrix files have it (GGUF or the older .dat), with ".in_sum2" (sums of
// squares) beside a ".counts", each matrix of a stack of experts by itself or together. Names may be llama.cpp's for a
// Llama in Hugging Face's spelling. Whether names and lengths fit is found out by make_plan().
// Throws: Usage for tensors that are not floats, Corrupt, Io.
void add_importance(Analysis& analysis, const Checkpoint& statistics);

}  // namespace mq
