#include "src/resume.hpp"

#include <algorithm>
#include <exception>

#include "src/digest.hpp"
#include "src/run_identity.hpp"

namespace mq {
namespace {

constexpr std::int64_t kReadBytes = 1 << 20;
constexpr std::chrono::seconds kInterval{10};

}  // namespace

Resumption::Resumption(PartialOutput& partial, const Checkpoint& checkpoint, const Plan& plan,
                       const ConvertOptions& options)
    : partial_(partial),
      plan_(plan),
      interval_bytes_(options.journal_bytes),
      journal_(partial.open(), run_identity(checkpoint, plan)) {}

std::string Resumption::stored_digest(std::size_t output) const {
  const std::int64_t size = plan_.layout.tensors[output].size_bytes();
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(size, kReadBytes)));
  std::vector<ChunkDigest> chunks;
  for (std::int64_t at = 0; at < size; at += kReadBytes) {
    const auto part = std::span(bytes).first(static_cast<std::size_t>(std::min(size - at, kReadBytes)));
    partial_.read(output, at, part);
    chunks.push_back(digest_chunk(DigestKind::Xxh3, part));
  }
  return digest_text(DigestKind::Xxh3, chunks);
}

bool Resumption::is_whole(const JournalEntry& entry) const {
  if (entry.step >= plan_.steps.size()) return false;
  const Step& step = plan_.steps[entry.step];
  if (entry.report.id != step.id || entry.outputs.size() != step.outputs.size()) return false;
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    if (stored_digest(step.outputs[i]) != entry.outputs[i]) return false;
  }
  return true;
}

void Resumption::restore(Report& report, std::vector<bool>& done) {
  for (const auto& [index, entry] : journal_.entries()) {
    if (!is_whole(entry)) {
      report.notes.push_back(entry.report.id + ": what was written of it is damaged, and is made again");
      continue;
    }
    for (const std::size_t output : plan_.steps[index].outputs) partial_.keep(output);
    report.steps[index] = entry.report;
    done[index] = true;
    ++report.resumed;
  }
}

void Resumption::add(std::size_t step, const StepReport& report) {
  if (plan_.steps[step].outputs.empty()) return;
  waiting_.push_back({.step = step, .report = report, .outputs = {}});
  waiting_bytes_ += plan_.steps[step].output_bytes;
}

void Resumption::commit_if_due() {
  if (waiting_bytes_ >= interval_bytes_ || std::chrono::steady_clock::now() - committed_ >= kInterval) commit();
}

void Resumption::commit_what_can_be() noexcept {
  try {
    commit();
  } catch (const std::exception&) {
    // The reason of the failure is known already; the journal says less than it could.
  }
}

void Resumption::commit() {
  if (waiting_.empty()) return;
  partial_.sync();
  for (JournalEntry& entry : waiting_) {
    for (const std::size_t output : plan_.steps[entry.step].outputs) entry.outputs.push_back(stored_digest(output));
  }
  journal_.append(waiting_);
  waiting_.clear();
  waiting_bytes_ = 0;
  committed_ = std::chrono::steady_clock::now();
}

}  // namespace mq
