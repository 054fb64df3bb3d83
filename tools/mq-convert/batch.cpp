#include "tools/mq-convert/batch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "formats/format.hpp"
#include "mq/convert.hpp"
#include "mq/error.hpp"
#include "tools/mq-convert/args_common.hpp"
#include "tools/mq-convert/batch_list.hpp"
#include "tools/mq-convert/cancel.hpp"
#include "tools/mq-convert/conversion_events.hpp"
#include "tools/mq-convert/finished.hpp"
#include "tools/mq-convert/memory_budget.hpp"
#include "tools/mq-convert/recipe_file.hpp"
#include "tools/mq-convert/shared_executor.hpp"

namespace mq::tool {
namespace {

namespace fs = std::filesystem;

constexpr int kDefaultJobs = 4;
constexpr std::array<std::string_view, 8> kInputSuffixes = {".safetensors", ".pt",   ".pth", ".bin",
                                                            ".ckpt",        ".gguf", ".npz", ".npy"};

// The input's name with the suffix that the output's format has.
std::string default_name(const fs::path& input, const std::string& format) {
  std::error_code error;
  const bool folder = fs::is_directory(input, error);
  const fs::path name = input.has_filename() ? input.filename() : input.parent_path().filename();
  const bool known = std::ranges::find(kInputSuffixes, name.extension().string()) != kInputSuffixes.end();
  const std::string stem = known && !folder ? name.stem().string() : name.string();
  const std::string wanted = format != kAutoFormat ? format : folder ? "hf_safetensors" : "safetensors";
  for (const formats::Format* known_format : formats::all_formats()) {
    if (known_format->name == wanted) return stem + std::string(known_format->suffix);
  }
  return stem;
}

// A model of the list with all that its conversion needs to know, or why it cannot begin.
struct Job {
  BatchItem item;
  Options options;
  std::exception_ptr problem;
};

Job make_job(BatchItem item, const Options& all) {
  Job job{.item = std::move(item), .options = all, .problem = {}};
  job.options.in = job.item.input;
  try {
    if (!job.item.recipe.empty()) {
      job.options.recipe = read_recipe_of_task(job.item.recipe, all.recipe);
      take_input_names(job.options.recipe.input, job.options.open);
    }
  } catch (const Error&) {
    job.problem = std::current_exception();
  }
  const std::string name =
      job.item.output.empty() ? default_name(job.item.input, job.options.recipe.format) : job.item.output;
  job.options.out = all.out / name;
  return job;
}

// What a conversion takes of the memory for all. The default is beside the lists of tensors, and a model that needs
// more has it for itself.
std::int64_t share_of(const Cost& cost, std::optional<std::int64_t> limit_bytes) {
  if (limit_bytes) return cost.memory_bytes();
  return std::min(cost.memory_bytes() - cost.memory.listing_bytes, kDefaultMemoryBytes);
}

[[noreturn]] void refuse_output(const Job& job, const std::string& source, std::string message, std::size_t other) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::move(message),
               .file = source + ":" + std::to_string(job.item.line),
               .found = job.options.out.string() + ", as in line " + std::to_string(other),
               .hint = "name outputs in the list: INPUT<tab>OUTPUT"});
}

// Models run in any order: what one reads is nothing that another writes.
void refuse_chains(const std::vector<Job>& jobs, const std::string& source) {
  std::error_code unknown;
  std::map<fs::path, std::size_t> inputs;
  for (const Job& job : jobs) inputs.emplace(fs::weakly_canonical(job.options.in, unknown), job.item.line);
  for (const Job& job : jobs) {
    const auto input = inputs.find(fs::weakly_canonical(job.options.out, unknown));
    if (input != inputs.end()) refuse_output(job, source, "the output is an input", input->second);
  }
}

std::vector<Job> make_jobs(const Options& options) {
  const std::string source = options.in == "-" ? "standard input" : options.in.string();
  std::vector<Job> jobs;
  std::map<fs::path, std::size_t> lines;  // by output
  for (BatchItem& item : parse_batch_list(read_batch_list(options.in), source)) {
    Job job = make_job(std::move(item), options);
    const auto [other, fresh] = lines.emplace(job.options.out, job.item.line);
    if (!fresh) refuse_output(job, source, "two models would have the same output", other->second);
    jobs.push_back(std::move(job));
  }
  refuse_chains(jobs, source);
  return jobs;
}

class Batch {
 public:
  Batch(const Options& options, Console& console)
      : options_(options),
        console_(console),
        jobs_(make_jobs(options)),
        threads_(options.threads),
        executor_(threads_),
        memory_(options.max_memory.value_or(kDefaultMemoryBytes)) {}

  int run() {
    const auto count =
        static_cast<std::size_t>(options_.jobs > 0 ? options_.jobs : std::min(kDefaultJobs, options_.threads));
    std::vector<std::thread> runners;
    try {
      for (std::size_t i = 1; i < std::min(count, jobs_.size()); ++i) runners.emplace_back([this] { run_jobs(); });
    } catch (const std::system_error&) {
      // As many at a time as the system has threads for.
    }
    run_jobs();
    for (std::thread& runner : runners) runner.join();
    if (broken_) std::rethrow_exception(broken_);
    if (stop_signal() != 0) throw Error(ErrorCode::Cancelled, "stopped by a signal");
    return worst_;
  }

 private:
  void run_jobs() noexcept {
    for (std::size_t i = next_++; i < jobs_.size(); i = next_++) {
      try {
        tell(jobs_[i], run_guarded(jobs_[i]));
      } catch (...) {  // results that nobody gets are not worth the work
        const std::lock_guard lock(mutex_);
        if (!broken_) broken_ = std::current_exception();
        stopping_ = true;
      }
    }
  }

  bool stopping() const { return stopping_ || stop_signal() != 0; }

  // The line about a job, whatever became of it.
  json::Value run_guarded(const Job& job) {
    const double begin = console_.log().seconds();
    json::Value line;
    line.set("model", static_cast<std::int64_t>(job.item.line));
    line.set("input", job.options.in.string());
    line.set("output", job.options.out.string());
    try {
      if (stopping()) throw Error(ErrorCode::Cancelled, "not begun");
      if (job.problem) std::rethrow_exception(job.problem);
      convert_one(job, line);
    } catch (const Error& error) {
      set_error(line, error);
    } catch (const std::bad_alloc&) {
      set_error(line, Error(ErrorCode::Io, "not enough memory"));
    }
    line.set("seconds", console_.log().seconds() - begin);
    return line;
  }

  static void set_error(json::Value& line, const Error& error) {
    line.set("status", error.code() == ErrorCode::Cancelled ? "cancelled" : "failed");
    line.set("exit_code", exit_code(error.code()));
    line.set("error", Console::error_object(error));
  }

  void convert_one(const Job& job, json::Value& line) {
    EventLog& log = console_.log();
    log.emit("start", with_model(job, start_event(job.options)));
    std::error_code error;
    const bool exists = fs::exists(job.options.out, error);
    Options options = job.options;
    options.overwrite = options.overwrite || exists;  // to look at what exists; it stays unless --overwrite was given
    const Conversion conversion = plan_conversion(options);
    log.emit("plan", with_model(job, plan_event(conversion)));
    const MemoryBudget::Share share = memory_.take(share_of(conversion.cost, options.max_memory));
    const ConvertOptions watch{.progress = [this](const Progress&) { return !stopping(); }, .step_done = {}};
    line.set("input_bytes", conversion.plan.input_bytes);
    line.set("exit_code", 0);
    if (exists && is_finished(conversion, executor_, watch)) {
      line.set("status", "skipped");
      return;
    }
    if (exists && !job.options.overwrite) {
      throw Error({.code = ErrorCode::Io,
                   .message = "exists already, and was made from something else",
                   .file = job.options.out.string(),
                   .hint = "--overwrite replaces it"});
    }
    const Report report = convert(*conversion.input, conversion.plan, *conversion.writer, executor_, watch);
    line.set("status", "done");
    line.set("output_bytes", report.output_bytes);
    line.set("sqnr_db", report.total.numel > 0 ? json::Value(report.total.sqnr_db()) : json::Value());
    line.set("warnings", string_array(report.warnings));
  }

  // Throws: Io if stdout cannot be written.
  void tell(const Job& job, const json::Value& line) {
    const std::lock_guard lock(mutex_);
    const auto code = static_cast<int>(*line.find("exit_code")->as_int());
    worst_ = std::max(worst_, code);
    console_.log().emit(code == 0 ? "done" : "error", with_model(job, line));
    console_.print(json::dump(line, -1) + '\n');
  }

  static json::Value with_model(const Job& job, json::Value fields) {
    fields.set("model", static_cast<std::int64_t>(job.item.line));
    return fields;
  }

  const Options& options_;
  Console& console_;
  const std::vector<Job> jobs_;
  SharedExecutor threads_;
  CancellableExecutor executor_;
  MemoryBudget memory_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // guards what follows, and stdout
  int worst_ = 0;
  std::exception_ptr broken_;
};

}  // namespace

int run_batch(const Options& options, Console& console) {
  std::error_code error;
  fs::create_directories(options.out, error);
  if (!fs::is_directory(options.out, error)) {
    throw Error(
        {.code = ErrorCode::Io, .message = "cannot be made a folder for the outputs", .file = options.out.string()});
  }
  return Batch(options, console).run();
}

}  // namespace mq::tool
