#include "mq/convert.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>

#include "src/batch_limits.hpp"
#include "src/metadata.hpp"
#include "src/resume.hpp"
#include "src/reuse.hpp"
#include "src/shared_ranges.hpp"
#include "src/step_run.hpp"

namespace mq {
namespace {

constexpr double kWarnBelowDb = 10;

// Scratch of the workers: as many as have ever worked at once.
class ScratchPool {
 public:
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WorkerScratch& operator*() const { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<WorkerScratch> scratch_;
  };

 private:
  std::unique_ptr<WorkerScratch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<WorkerScratch>();
    std::unique_ptr<WorkerScratch> scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void give(std::unique_ptr<WorkerScratch> scratch) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<WorkerScratch>> free_;
};

class ProgressMeter {
 public:
  ProgressMeter(const ConvertOptions& options, std::int64_t total) : options_(options), state_{.bytes_total = total} {}

  // Throws: Cancelled when the callback says so.
  void add(std::int64_t bytes, std::string_view tensor) {
    if (!options_.progress) return;
    const std::lock_guard lock(mutex_);
    state_.bytes_done += bytes;
    state_.tensor = tensor;
    if (!options_.progress(state_)) throw Error(ErrorCode::Cancelled, "cancelled");
  }
  void check() { add(0, {}); }

 private:
  const ConvertOptions& options_;
  std::mutex mutex_;
  Progress state_;
};

// Tiles of one of the batch's steps.
struct Item {
  StepRun* run = nullptr;
  std::int64_t first = 0;
  std::int64_t count = 1;
};

class Engine {
 public:
  Engine(const Checkpoint& checkpoint, const Plan& plan, CheckpointWriter& writer, Executor& executor,
         ProgressMeter& meter, Resumption* resumption, const ConvertOptions& options)
      : checkpoint_(checkpoint),
        plan_(plan),
        writer_(writer),
        executor_(executor),
        options_(options),
        meter_(meter),
        resumption_(resumption),
        max_batch_bytes_(resumption ? options.journal_bytes : std::numeric_limits<std::int64_t>::max()),
        done_(plan.steps.size(), false) {}

  Report run() {
    Report report;
    report.steps.resize(plan_.steps.size());
    if (resumption_) resumption_->restore(report, done_);
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!done_[i]) continue;
      if (options_.step_done) options_.step_done(plan_.steps[i], report.steps[i]);
      meter_.add(plan_.steps[i].input_bytes, plan_.steps[i].id);
    }
    ranges_ = shared_ranges(checkpoint_, plan_, done_, executor_);
    if (options_.reuse) take_from_old(report);
    for (std::size_t next = 0; next < plan_.steps.size();) next = run_batch(next, report);
    if (resumption_) resumption_->commit();
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!plan_.steps[i].quantizes()) continue;
      const ErrorStats& error = report.steps[i].error;
      report.total.add(error);
      if (error.numel > 0 && error.sqnr_db() < kWarnBelowDb) report.warnings.push_back(plan_.steps[i].id);
    }
    return report;
  }

 private:
  void finish_step(std::size_t index, StepReport step_report, Report& report) {
    report.steps[index] = std::move(step_report);
    if (resumption_) resumption_->add(index, report.steps[index]);
    if (options_.step_done) options_.step_done(plan_.steps[index], report.steps[index]);
  }

  // What an earlier output has is copied.
  void take_from_old(Report& report) {
    const Reuse reuse(*options_.reuse, plan_);
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      // What follows from the other weights of a set is not in the digest.
      if (done_[i] || ranges_.contains(i) || !reuse.may_hold(i)) continue;
      std::optional<StepReport> copied = reuse.copy(i, checkpoint_, writer_, executor_);
      if (!copied) continue;
      done_[i] = true;
      ++report.reused;
      finish_step(i, std::move(*copied), report);
      if (resumption_) resumption_->commit_if_due();
      meter_.add(plan_.steps[i].input_bytes, plan_.steps[i].id);
    }
  }

  // Runs steps from `first` on that are not done, as many as fit, and returns the next one.
  std::size_t run_batch(std::size_t first, Report& report) {
    std::vector<std::unique_ptr<StepRun>> runs;
    std::vector<std::size_t> indices;
    std::int64_t tiles = 0;
    std::int64_t state = 0;
    std::int64_t bytes = 0;
    std::size_t next = first;
    while (next < plan_.steps.size() && tiles < kMaxBatchTiles && state < kMaxBatchState &&
           runs.size() < kMaxBatchSteps && bytes < max_batch_bytes_) {
      const std::size_t index = next++;
      if (done_[index]) continue;
      indices.push_back(index);
      const auto range = ranges_.find(index);
      runs.push_back(std::make_unique<StepRun>(checkpoint_, plan_, plan_.steps[index], writer_, options_.weigh_errors,
                                               range == ranges_.end() ? std::nullopt : std::optional(range->second)));
      tiles += runs.back()->tiles();
      state += runs.back()->held_bytes();
      bytes += plan_.steps[index].output_bytes;
    }
    for_tiles(runs, true, [](const Item& item, WorkerScratch& scratch) { item.run->observe(item.first, scratch); });
    for (const auto& run : runs) run->settle();
    for_tiles(runs, false, [this](const Item& item, WorkerScratch& scratch) {
      item.run->run(item.first, item.count, scratch);
      meter_.add(item.run->tile_bytes(item.first, item.count), item.run->step().id);
    });
    for (std::size_t i = 0; i < runs.size(); ++i) finish_step(indices[i], runs[i]->report(), report);
    if (resumption_) resumption_->commit_if_due();
    return next;
  }

  template <class F>
  void for_tiles(const std::vector<std::unique_ptr<StepRun>>& runs, bool observing, F&& work) {
    std::vector<Item> items;
    for (const auto& run : runs) {
      if (run->step().action == Step::Action::Drop || (observing && !run->observes())) continue;
      const std::int64_t at_once = observing ? 1 : run->tiles_at_once();
      for (std::int64_t tile = 0; tile < run->tiles(); tile += at_once) {
        items.push_back({run.get(), tile, std::min(at_once, run->tiles() - tile)});
      }
    }
    executor_.parallel_for(static_cast<std::int64_t>(items.size()), [&](std::int64_t i) {
      const ScratchPool::Lease scratch(pool_);
      work(items[static_cast<std::size_t>(i)], *scratch);
    });
  }

  const Checkpoint& checkpoint_;
  const Plan& plan_;
  CheckpointWriter& writer_;
  Executor& executor_;
  const ConvertOptions& options_;
  ProgressMeter& meter_;
  Resumption* resumption_;
  std::int64_t max_batch_bytes_;
  std::vector<bool> done_;
  SharedRanges ranges_;
  ScratchPool pool_;
};

}  // namespace

Report convert(const Checkpoint& checkpoint, const Plan& plan, CheckpointWriter& writer, Executor& executor,
               const ConvertOptions& options) {
  std::optional<Resumption> resumption;
  if (PartialOutput* const partial = writer.partial()) resumption.emplace(*partial, checkpoint, plan, options);
  writer.begin(plan.layout);
  for (const ConstantTensor& constant : plan.constants) {
    const auto bytes = std::as_bytes(std::span(constant.values));
    writer.write(constant.output, 0, 1, 0, static_cast<std::int64_t>(bytes.size()), bytes);
  }
  ProgressMeter meter(options, plan.input_bytes);
  Report report;
  try {
    report = Engine(checkpoint, plan, writer, executor, meter, resumption ? &*resumption : nullptr, options).run();
  } catch (...) {
    if (resumption) resumption->commit_what_can_be();
    throw;
  }
  if (plan.recipe.task == Recipe::Task::Quantize) {
    writer.add_text(kReportName, metadata_pieces(plan, report));
  }
  writer.complete();
  // The last moment at which nothing has to be taken back.
  checkpoint.check_unchanged();
  if (options.reuse) options.reuse->check_unchanged();
  meter.check();
  writer.finish();
  report.output_bytes = writer.size_bytes();
  return report;
}

}  // namespace mq
