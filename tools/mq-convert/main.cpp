// mq-convert: the command line of mono-quant. Each command is a few calls of the library, all of them in this file.
#include <exception>
#include <memory>
#include <new>
#include <optional>

#include "mq/mq.hpp"
#include "tools/mq-convert/args.hpp"
#include "tools/mq-convert/batch.hpp"
#include "tools/mq-convert/cancel.hpp"
#include "tools/mq-convert/console.hpp"
#include "tools/mq-convert/conversion.hpp"
#include "tools/mq-convert/conversion_events.hpp"
#include "tools/mq-convert/gates.hpp"
#include "tools/mq-convert/input.hpp"
#include "tools/mq-convert/inspect.hpp"
#include "tools/mq-convert/progress.hpp"
#include "tools/mq-convert/schemes.hpp"

namespace mq::tool {
namespace {

// Threads for a command, and the way to stop them with a signal.
struct Workers {
  explicit Workers(int threads) : pool(make_thread_executor(threads)), executor(*pool) {}

  std::unique_ptr<Executor> pool;
  CancellableExecutor executor;
};

// quantize, dequantize and convert: open, plan, and write the plan.
int run_conversion(const Options& options, Console& console) {
  EventLog& log = console.log();
  log.emit("start", start_event(options));
  Conversion conversion = plan_conversion(options);
  keep_to_memory(conversion, options.max_memory);
  const Plan& plan = conversion.plan;
  console.show("input", InputSummary{*conversion.input});
  console.show("plan", PlanView{plan, conversion.cost.file_bytes});
  if (!conversion.rates.tensors.empty()) console.show("candidates", RatesView{plan, conversion.rates});
  log.emit("plan", plan_event(conversion));
  for (const std::string& note : plan.notes) log.warning(note);
  Workers workers(conversion.cost.threads);
  if (options.dry_run) {
    conversion.cost.speed = estimate_speed(plan, workers.executor);
    if (!console.json()) console.print("dry run: nothing is written\n");
    console.show("cost", conversion.cost);
    return console.finish(options.verb);
  }

  const double begin = log.seconds();
  ProgressLine line(!console.json() && !log.enabled());
  const std::unique_ptr<Checkpoint> old = options.reuse.empty() ? nullptr : open_checkpoint(options.reuse);
  ConvertOptions how{.progress =
                         [&](const Progress& progress) {
                           line.show(progress);
                           log.progress(progress);
                           return stop_signal() == 0;
                         },
                     .step_done = [&](const Step& step, const StepReport& report) { log.step(step, report); },
                     .reuse = old.get()};
  if (options.journal_bytes) how.journal_bytes = *options.journal_bytes;
  const Report report = run_or_say_how_to_continue(options, conversion.target, [&] {
    return convert(*conversion.input, plan, *conversion.writer, workers.executor, how);
  });
  line.clear();
  const Result result{plan, report, conversion.target.path, options, log.seconds() - begin};
  if (console.json()) console.show("cost", conversion.cost);
  console.show("result", result);
  log_result(log, result);
  return console.finish(options.verb);
}

int run_info(const Options& options, Console& console) {
  if (options.tree) {
    console.show("tree", Tree{list_contents(options.in, options.open)});
    return console.finish(options.verb);
  }
  const std::unique_ptr<Checkpoint> input = open_input(options).checkpoint;
  const Source source = describe(*input);
  if (options.tensor.empty()) {
    console.show("input", InputSummary{*input});
    console.show("contents", Contents{*input, source});
  } else {
    Workers workers(options.threads);
    console.show("tensor", inspect(*input, source, options.tensor, workers.executor));
  }
  return console.finish(options.verb);
}

int run_compare(const Options& options, Console& console) {
  const std::unique_ptr<Checkpoint> original = open_input(options).checkpoint;
  const std::unique_ptr<Checkpoint> quantized =
      open_checkpoint(options.out, {.strict = options.open.strict, .limits = options.open.limits});
  Workers workers(options.threads);
  const Comparison comparison = compare(*original, *quantized, workers.executor);
  console.show("comparison", Compared{comparison});
  const std::vector<Error> missed = missed_limits(comparison, options);
  return missed.empty() ? console.finish(options.verb) : console.finish_failed(options.verb, missed);
}

int run_validate(const Options& options, Console& console) {
  const std::unique_ptr<Checkpoint> input = open_checkpoint(options.in, options.open);
  Workers workers(options.threads);
  const Validation validation = validate(*input, workers.executor, options.runtime);
  console.show("validation", validation);
  const std::optional<Error> failure = failure_of(validation, options);
  return failure ? console.finish_failed(options.verb, {&*failure, 1}) : console.finish(options.verb);
}

int run_audit(const Options& options, Console& console) {
  const AuditReport report = audit(options.in, options.open.limits);
  console.show("audit", report);
  const std::optional<Error> failure = failure_of(report);
  return failure ? console.finish_failed(options.verb, {&*failure, 1}) : console.finish(options.verb);
}

int run_recipe(const Options& options, Console& console) {
  console.show("recipe", options.recipe);
  return console.finish(options.verb);
}

int run_schemes(const Options& options, Console& console) {
  console.show("schemes", list_schemes());
  console.show("presets", Presets{destinations()});
  return console.finish(options.verb);
}

int run_selftest(const Options& options, Console& console) {
  Workers workers(options.threads);
  const SelftestReport report = selftest(workers.executor);
  console.show("selftest", report);
  const std::optional<Error> failure = failure_of(report);
  return failure ? console.finish_failed(options.verb, {&*failure, 1}) : console.finish(options.verb);
}

int run_limits(const Options& options, Console& console) {
  console.show("limits", all_limits());
  return console.finish(options.verb);
}

int run(const Options& options, Console& console) {
  switch (options.verb) {
    case Verb::Quantize:
    case Verb::Dequantize:
    case Verb::Convert:
      return run_conversion(options, console);
    case Verb::Batch:
      return run_batch(options, console);
    case Verb::Info:
      return run_info(options, console);
    case Verb::Compare:
      return run_compare(options, console);
    case Verb::Validate:
      return run_validate(options, console);
    case Verb::Audit:
      return run_audit(options, console);
    case Verb::Recipe:
      return run_recipe(options, console);
    case Verb::Schemes:
      return run_schemes(options, console);
    case Verb::Selftest:
      return run_selftest(options, console);
    case Verb::Limits:
      break;
  }
  return run_limits(options, console);
}

int run_command_line(int argc, char** argv, Console& console) {
  const Options options = parse_args(argc, argv);
  if (!options.message.empty()) {
    console.print(options.message);
    return 0;
  }
  console.set_verbose(options.verbose);
  catch_signals();
  return run(options, console);
}

// Every failure ends here, as one line or one JSON object and an exit code.
int guarded_main(int argc, char** argv) {
  Console console(has_word(argc, argv, "--json"), has_word(argc, argv, "--log-json"));
  try {
    return run_command_line(argc, argv, console);
  } catch (const Error& error) {
    const int code = console.fail(error);
    return error.code() == ErrorCode::Cancelled && stop_signal() != 0 ? 128 + stop_signal() : code;
  } catch (const std::bad_alloc&) {
    return console.fail(Error(ErrorCode::Io, "not enough memory"));
  } catch (const std::exception& unexpected) {
    return console.fail(Error(ErrorCode::Internal, std::string("unexpected: ") + unexpected.what()));
  }
}

}  // namespace
}  // namespace mq::tool

int main(int argc, char** argv) {
  mq::tool::reserve_standard_streams();
  return mq::tool::guarded_main(argc, argv);
}
