// Goes on with an output that a run before has left unfinished, and leaves what the next one needs to go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "mq/convert.hpp"
#include "src/journal.hpp"

namespace mq {

class Resumption {
 public:
  // Opens the partial output: its journal must be of this conversion. All arguments are borrowed. Called before
  // CheckpointWriter::begin.
  // Throws: Usage, saying what differs; Io.
  Resumption(PartialOutput& partial, const Checkpoint& checkpoint, const Plan& plan, const ConvertOptions& options);

  // Fills in the reports of the steps whose bytes are there, and marks them as done. Bytes that are not those that were
  // written are noted in the report, and not used. Called after CheckpointWriter::begin.
  // Throws: Io.
  void restore(Report& report, std::vector<bool>& done);

  // A step whose bytes were given to the writer: the next commit notes it.
  void add(std::size_t step, const StepReport& report);
  // Makes durable what was written, then notes the steps. Throws: Io.
  void commit();
  // The same if enough was written or enough time has gone by since the last time. Throws: Io.
  void commit_if_due();
  // The same on the way out of a run that failed.
  void commit_what_can_be() noexcept;

 private:
  std::string stored_digest(std::size_t output) const;
  bool is_whole(const JournalEntry& entry) const;

  PartialOutput& partial_;
  const Plan& plan_;
  std::int64_t interval_bytes_;
  Journal journal_;
  std::vector<JournalEntry> waiting_;
  std::int64_t waiting_bytes_ = 0;
  std::chrono::steady_clock::time_point committed_ = std::chrono::steady_clock::now();
};

}  // namespace mq
