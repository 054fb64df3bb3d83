#include "tools/mq-convert/args.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mq/destination.hpp"
#include "mq/error.hpp"
#include "mq/executor.hpp"
#include "mq/version.hpp"
#include "src/nearest.hpp"
#include "tools/mq-convert/args_common.hpp"
#include "tools/mq-convert/help.hpp"

namespace mq::tool {
namespace {

constexpr const char* kCheckpointHelp =
    "the checkpoint to read: a PyTorch, safetensors, GGUF or NumPy file, or a directory as Hugging Face saves it";

constexpr const char* kAuditFooter =
    "Dangerous is every name of Python's own library that is not a plain value, every call of a value that the file\n"
    "computes, and some functions of other packages that are known to run code. Inert are other packages: they are\n"
    "data here, but Python would import and run them. Exit code 0: all of the file was followed, and nothing in it is\n"
    "dangerous; 4: something is; 6: the file cannot be read, or is damaged so that others may see more in it.\n\n"
    "Examples:\n  mq-convert audit model.pt\n  mq-convert audit downloaded-folder/ --json";

constexpr const char* kSelftestFooter =
    "Every kernel of every instruction set that this processor has must give the bits of the reference, on inputs "
    "that\n"
    "are the same everywhere. Memory bandwidth is measured over 128 MiB for some tenths of a second.\n"
    "Exit code 4 if a kernel gives other bits: do not use this machine or this build.\n\n"
    "Example:\n  mq-convert selftest --json";

struct VerbInfo {
  Verb verb;
  std::string_view name;
  const char* help;
};
constexpr std::array kVerbs = {
    VerbInfo{Verb::Quantize, "quantize", "Make a checkpoint smaller by storing its weights with fewer bits."},
    VerbInfo{Verb::Dequantize, "dequantize", "Turn quantized weights back into floats."},
    VerbInfo{Verb::Convert, "convert", "Write the same tensors into another container."},
    VerbInfo{Verb::Batch, "batch", "Quantize every model of a list with one recipe."},
    VerbInfo{Verb::Info, "info", "Show what is in a checkpoint, or look into one tensor."},
    VerbInfo{Verb::Compare, "compare", "Measure how far one checkpoint is from another, tensor by tensor."},
    VerbInfo{Verb::Validate, "validate", "Check that a checkpoint is whole and its numbers are sane."},
    VerbInfo{Verb::Audit, "audit", "List what a file would run if Python loaded it. Nothing of it is run."},
    VerbInfo{Verb::Recipe, "recipe", "Print the recipe that options and files add up to, every default spelled out."},
    VerbInfo{Verb::Schemes, "schemes", "List the encodings, with bits per weight and who loads them."},
    VerbInfo{Verb::Selftest, "selftest",
             "Check the kernels of this machine against the reference, and measure memory."},
};

CLI::Option* configure(CLI::Option* option, const char* group, const char* value) {
  return option->group(group)->option_text(value)->allow_extra_args(false);
}

void add_general(CLI::App& app, Options& options) {
  app.set_help_flag("-h,--help", "print this text")->group(kGeneral);
  add_flag(app, kGeneral, "--json", "print one JSON object on stdout instead of text, on failure too", options.json);
  if (options.verb == Verb::Schemes || options.verb == Verb::Recipe) return;
  if (options.verb == Verb::Audit) {
    add_flag(app, kGeneral, "--verbose", "every name and call, however many there are", options.verbose);
    return;
  }
  if (options.verb != Verb::Selftest) {
    add_flag(app, kGeneral, "--verbose", "one line for every tensor, however many there are", options.verbose);
  }
  add_value(app, kGeneral, "--threads", "N", "threads to use (default: the processors this process may use)",
            [&](const std::string& text) {
              options.threads = static_cast<int>(parse_integer("--threads", text, 1, kMaxThreads));
            });
}

void add_conversion(CLI::App& app, Options& options) {
  using Task = Recipe::Task;
  add_path(app, "IN", kCheckpointHelp, options.in);
  add_path(app, "OUT,-o,--out", "what to write; without a suffix it is a directory", options.out);
  add_recipe_option(app, options);
  if (options.verb == Verb::Quantize) {
    options.recipe.task = Task::Quantize;
    add_quantize_options(app, options);
  } else if (options.verb == Verb::Dequantize) {
    options.recipe.task = Task::Dequantize;
    add_value(app, kEncoding, "--dtype", "DTYPE",
              "type of the dequantized tensors (default: that of the original; f32 if the file does not say)",
              [&](const std::string& text) { options.recipe.dtype = parse_type("--dtype", text); });
    app.footer(
        "Examples:\n  mq-convert dequantize Llama-3.2-1B-int4 Llama-3.2-1B-again\n"
        "  mq-convert dequantize small.safetensors floats.safetensors --dtype f32");
  } else {
    options.recipe.task = Task::Copy;
    add_value(app, kEncoding, "--dialect", dialect_names(),
              "store quantized weights as another program lays them out: the same codes and scales, or an error where "
              "it has no place for them",
              [&](const std::string& text) {
                options.recipe.task = Task::Repack;
                options.recipe.dialect = parse_dialect(text);
              });
    app.footer(
        "Examples:\n  mq-convert convert model.pt model.safetensors\n"
        "  mq-convert convert Llama-3.2-1B-gptq Llama-3.2-1B-awq --dialect awq");
  }
  add_output_options(app, options);
}

void add_reading(CLI::App& app, Options& options) {
  if (options.verb == Verb::Compare) {
    add_path(app, "ORIGINAL", "the reference", options.in);
    add_path(app, "QUANTIZED", "what was made of it; quantized tensors are decoded, on either side", options.out);
    add_value(app, kOutput, "--min-sqnr", "DB", "exit with 4 if a tensor has a lower signal-to-noise ratio",
              [&](const std::string& text) { options.min_sqnr = parse_decibels("--min-sqnr", text); });
    add_value(app, kOutput, "--min-channel-sqnr", "DB", "exit with 4 if a channel of a tensor has a lower one",
              [&](const std::string& text) { options.min_channel_sqnr = parse_decibels("--min-channel-sqnr", text); });
    app.footer(
        "SQNR is 10 log10(signal power / noise power): about 40 dB for good 8-bit weights, 20 dB for 4 bits.\n"
        "With a limit, tensors that are missing or cannot be compared fail too.\n\n"
        "Example:\n  mq-convert compare model.pt model-int8.safetensors --min-sqnr 35");
  } else if (options.verb == Verb::Audit) {
    add_path(app, "FILE", "what to look through: a checkpoint, any other pickle, or a folder with everything in it",
             options.in);
  } else if (options.verb == Verb::Selftest) {
    app.footer(kSelftestFooter);
  } else if (options.verb != Verb::Schemes) {
    add_path(app, "FILE", kCheckpointHelp, options.in);
  }
  if (options.verb == Verb::Info) {
    add_value(app, kOutput, "--tensor", "NAME",
              "look into this tensor: its encoding, ranges of scales and zero points, a histogram, first values",
              [&](const std::string& text) { options.tensor = text; });
    add_flag(app, kOutput, "--tree",
             "show everything in the file as a tree: optimizers, counters, settings and objects beside the model; of "
             "which --root KEYS reads a part",
             options.tree);
  }
  if (options.verb == Verb::Validate) {
    add_value(app, kOutput, "--for", "RUNTIME", "hold the weights against the rules of this program too, as in vllm",
              [&](const std::string& text) { options.runtime = require_runtime(text); });
    app.footer("Exit code 4 if something is wrong with the checkpoint, 6 if it cannot be read at all.");
  }
  if (options.verb == Verb::Audit) app.footer(kAuditFooter);
}

// CLI11's exceptions, in the words of this tool.
[[noreturn]] void rethrow(const CLI::ParseError& error, const CLI::App& command, const std::string& hint) {
  std::string what = error.what();
  if (const std::size_t line = what.find('\n'); line != std::string::npos) what.resize(line);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extra = command.remaining();
    const std::string word = extra.empty() ? what : extra.front();
    const bool is_option = word.size() > 1 && word.front() == '-';
    std::vector<std::string> names;
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string near = is_option ? did_you_mean(word, views) : "";
    throw Error({.code = ErrorCode::Usage,
                 .message = (is_option ? "unknown option " : "one argument too many: ") + printable(word),
                 .hint = near.empty() ? hint : near + " " + hint});
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    what = what.substr(0, what.find(':')) + " needs a value";
  throw Error({.code = ErrorCode::Usage, .message = what, .hint = hint});
}

Error missing(std::string what, const std::string& hint) {
  return Error({.code = ErrorCode::Usage, .message = "missing " + std::move(what), .hint = hint});
}

void check_paths(const Options& options, const std::string& hint) {
  if (options.verb >= Verb::Recipe) return;
  const bool compares = options.verb == Verb::Compare;
  const bool converts = options.verb <= Verb::Convert;
  const bool batch = options.verb == Verb::Batch;
  if (options.in.empty()) throw missing(compares ? "ORIGINAL" : converts ? "IN" : batch ? "LIST" : "FILE", hint);
  if (converts && options.journal_bytes && !options.resume) {
    throw Error({.code = ErrorCode::Usage, .message = "--journal-every goes with --resume", .hint = hint});
  }
  if (!options.out.empty()) return;
  if (batch) throw missing("--out", hint);
  if (compares) throw missing("QUANTIZED", hint);
  if (converts && !options.dry_run) throw missing("OUT", hint);
}

const VerbInfo& verb_named(int argc, const char* const* argv) {
  constexpr const char* kHint = "see mq-convert --help";
  std::vector<std::string_view> names;
  for (const VerbInfo& info : kVerbs) names.push_back(info.name);
  if (argc < 2) throw missing("command", kHint);
  for (const VerbInfo& info : kVerbs) {
    if (info.name == argv[1]) return info;
  }
  const std::string near = did_you_mean(argv[1], names);
  const bool is_option = argv[1][0] == '-';
  throw Error({.code = ErrorCode::Usage,
               .message = (is_option ? "expected a command before " : "unknown command ") + printable(argv[1]),
               .hint = near.empty() ? kHint : near});
}

// A command line without a command.
bool is_global(int argc, const char* const* argv) {
  const auto is = [&](int i, std::string_view word) { return argc > i && argv[i] == word; };
  return is(1, "-h") || is(1, "--help") || is(1, "--version") || is(1, "--limits") ||
         (is(1, "--json") && is(2, "--limits"));
}

}  // namespace

std::string_view to_string(Verb verb) noexcept {
  if (verb == Verb::Limits) return "limits";
  return kVerbs[static_cast<std::size_t>(verb)].name;
}

bool has_word(int argc, const char* const* argv, std::string_view option) noexcept {
  return std::any_of(argv, argv + argc, [&](const char* word) { return std::string_view(word) == option; });
}

void add_path(CLI::App& app, const char* name, const char* help, std::filesystem::path& target) {
  app.add_option_function<std::string>(
         name, [&target](const std::string& text) { target = text; }, help)
      ->group(kGeneral)
      ->option_text(std::string(name).find(',') == std::string::npos ? "" : "OUT");
}

CLI::Option* add_value(CLI::App& app, const char* group, const char* name, const char* value, const char* help,
                       std::function<void(const std::string&)> take) {
  return configure(app.add_option_function<std::string>(name, std::move(take), help), group, value);
}

CLI::Option* add_list(CLI::App& app, const char* group, const char* name, const char* value, const char* help,
                      std::function<void(const std::string&)> take) {
  const auto take_all = [take = std::move(take)](const std::vector<std::string>& values) {
    for (const std::string& text : values) take(text);
  };
  return configure(app.add_option_function<std::vector<std::string>>(name, take_all, help), group, value);
}

CLI::Option* add_flag(CLI::App& app, const char* group, const char* name, const char* help, bool& target) {
  return app.add_flag(name, target, help)->group(group);
}

Options parse_args(int argc, const char* const* argv) {
  Options options;
  CLI::App app("Quantizes PyTorch, safetensors and GGUF checkpoints, without Python.", "mq-convert");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "print this text; after a command, its options")->group(kGeneral);
  app.set_version_flag("--version", std::string("mq-convert ") + kVersion, "print the version")->group(kGeneral);
  const bool global = is_global(argc, argv);
  const VerbInfo* const chosen = global ? nullptr : &verb_named(argc, argv);
  CLI::App* command = &app;
  for (const VerbInfo& info : kVerbs) {
    CLI::App* const sub = app.add_subcommand(std::string(info.name), info.help);
    if (&info == chosen) command = sub;
  }
  if (chosen == nullptr) {
    app.add_flag_callback(
           "--limits", [&] { options.verb = Verb::Limits; },
           "print how much inputs may ask for, and the options that change it")
        ->group(kGeneral);
    add_flag(app, kGeneral, "--json", "with --limits: print one JSON object instead of text", options.json);
  } else {
    options.verb = chosen->verb;
    if (options.verb <= Verb::Convert) {
      add_conversion(*command, options);
    } else if (options.verb == Verb::Batch) {
      add_batch(*command, options);
    } else if (options.verb == Verb::Recipe) {
      add_recipe_printing(*command, options);
    } else {
      add_reading(*command, options);
    }
    if (options.verb < Verb::Schemes) add_input_options(*command, options);
    add_general(*command, options);
  }
  const std::string hint =
      "see mq-convert " + std::string(chosen ? chosen->name : "") + (chosen ? " --help" : "--help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    options.message = app.help();
  } catch (const CLI::CallForVersion& version) {
    options.message = std::string(version.what()) + '\n';
  } catch (const CLI::ParseError& error) {
    rethrow(error, *command, hint);
  }
  if (options.message.empty()) check_paths(options, hint);
  merge_input_names(options);
  if (options.threads == 0) options.threads = usable_processors();
  return options;
}

}  // namespace mq::tool
