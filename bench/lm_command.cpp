#include "bench/lm_command.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bench/arguments.hpp"
#include "bench/lm_eval.hpp"
#include "mq/convert.hpp"
#include "mq/dtype.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::bench {
namespace {

constexpr const char* kHelp =
    "usage: mq-bench-lm --tokens FILE [OPTION...] MODEL...\n"
    "\n"
    "Perplexity of language models (Llama), a row for each in the order given:\n"
    "  MODEL                  a checkpoint, quantized or not\n"
    "  --scheme SPEC[@DTYPE][,EFFORT[,OBJECTIVE]]\n"
    "                         the reference with its Linear weights through this encoding, scales stored as DTYPE;\n"
    "                         EFFORT and OBJECTIVE as in mq-convert (search, mse)\n"
    "Options:\n"
    "  --tokens FILE          safetensors with the texts: eval.mixed and eval.wiki, int32 ids\n"
    "  --importance FILE      of input columns, for the objective importance\n"
    "  --reference MODEL      what KL divergence and SQNR are measured against\n"
    "  --windows N            of each text, from its beginning (400)\n"
    "  --window-tokens N      tokens of a window (256)\n"
    "  --kl-windows N         of the first text, for KL divergence (100)\n"
    "  --sensitivity OUT      write what errors of each weight matter, for mq-convert quantize --sensitivity: the KL\n"
    "                         divergence of the reference with that weight alone through an encoding, over its error\n"
    "  --probe SPEC...        that encoding, as for --scheme (int3:g128,fast)\n"
    "  --calibration N        windows of the text calib.ids for it (8)\n"
    "  --threads N            (all processors)\n"
    "  --json                 one JSON object instead of a table\n";

struct Row {
  std::string name;
  std::optional<Encoding> scheme;  // empty: name is a checkpoint
};

struct Options {
  std::vector<Row> rows;
  std::vector<std::string> texts = {"mixed", "wiki"};
  std::string tokens;
  std::string reference;
  std::string importance;
  Windows windows;
  std::int64_t kl_windows = 100;
  std::int64_t threads = usable_processors();
  std::string sensitivity;  // a file to write
  Encoding probe{.spec = parse_spec("int3:g128"), .effort = Effort::Fast};
  std::int64_t calibration = 8;
  bool json = false;
  bool help = false;
};

struct Result {
  std::string name;
  Score score;
  double bits_per_weight = 0;
  std::optional<double> sqnr_db;  // empty without a reference
  double seconds = 0;
};

std::int64_t parse_count(std::string_view option, const std::string& text, std::int64_t least = 1) {
  return parse_whole(option, text, least, 1'000'000);
}

// The value of that name. Throws: Usage.
template <class T, std::size_t N>
T parse_name(std::string_view option, const std::array<T, N>& values, const std::string& name,
             const std::string& text) {
  std::string names;
  for (const T value : values) {
    if (to_string(value) == name) return value;
    names += (names.empty() ? "one of " : ", ") + std::string(to_string(value));
  }
  fail(option, names, text);
}

Row parse_scheme(std::string_view option, const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  if (parts.size() > 3) fail(option, "SPEC[@DTYPE][,EFFORT[,OBJECTIVE]]", text);
  const std::size_t at = parts[0].find('@');
  Encoding encoding{.spec = parse_spec(parts[0].substr(0, at))};
  if (at != std::string::npos) {
    encoding.spec.scale_dtype = parse_dtype(parts[0].substr(at + 1));
    if (!encoding.spec.scale_dtype) fail(option, "a type of scales after @, as in int4:g128@f16", text);
  }
  if (parts.size() > 1) encoding.effort = parse_name(option, kEfforts, parts[1], text);
  if (parts.size() > 2) {
    const std::optional<Objective> objective = parse_objective(parts[2]);
    if (!objective) fail(option, "the objective mse, magnitude, x2, importance or lp:P", text);
    encoding.objective = *objective;
  }
  return {text, encoding};
}

Options parse(std::span<const std::string> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value = [&]() -> const std::string& { return value_after(arguments, i); };
    if (argument == "--help") {
      options.help = true;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument == "--tokens") {
      options.tokens = value();
    } else if (argument == "--importance") {
      options.importance = value();
    } else if (argument == "--reference") {
      options.reference = value();
    } else if (argument == "--windows") {
      options.windows.count = parse_count(argument, value());
    } else if (argument == "--window-tokens") {
      options.windows.tokens = parse_count(argument, value(), 2);
    } else if (argument == "--kl-windows") {
      options.kl_windows = parse_count(argument, value());
    } else if (argument == "--sensitivity") {
      options.sensitivity = value();
    } else if (argument == "--probe") {
      options.probe = *parse_scheme(argument, value()).scheme;
    } else if (argument == "--calibration") {
      options.calibration = parse_count(argument, value());
    } else if (argument == "--threads") {
      options.threads = parse_count(argument, value());
    } else if (argument == "--scheme") {
      options.rows.push_back(parse_scheme(argument, value()));
    } else if (argument.starts_with("-")) {
      fail("unknown option", "one of those that --help lists", argument);
    } else {
      options.rows.push_back({argument, {}});
    }
  }
  if (options.help) return options;
  if (options.tokens.empty()) fail("--tokens", "a file with the texts", "");
  if (options.rows.empty() && options.sensitivity.empty()) fail("nothing to evaluate", "a MODEL or --scheme", "");
  if (!options.sensitivity.empty() && options.reference.empty()) fail("--sensitivity", "a --reference", "");
  for (const Row& row : options.rows) {
    if (row.scheme && options.reference.empty()) fail("--scheme", "a --reference to encode", "");
  }
  options.kl_windows = std::min(options.kl_windows, options.windows.count);
  return options;
}

std::vector<std::string> tensors_of(std::span<const std::string> texts) {
  std::vector<std::string> names;
  for (const std::string& text : texts) names.push_back("eval." + text);
  return names;
}

// Evaluates row after row; what the reference model says is computed once for all.
class Evaluation {
 public:
  explicit Evaluation(const Options& options)
      : options_(options),
        executor_(make_thread_executor(static_cast<int>(options.threads))),
        texts_(read_texts(options.tokens, tensors_of(options.texts), options.windows)) {
    if (!options.importance.empty()) add_importance(statistics_, *open_checkpoint(options.importance));
    if (options.reference.empty()) return;
    reference_ = load_lm(options.reference);
    original_ = describe(*open_checkpoint(options.reference));
    if (options.rows.empty()) return;
    expected_ = predictions(*reference_, texts_.front(), {options.kl_windows, options.windows.tokens}, *executor_);
  }

  Result run(const Row& row) const {
    const auto start = std::chrono::steady_clock::now();
    const LmModel model = load(row);
    Result result{.name = row.name,
                  .score = evaluate(model, texts_, options_.windows, expected_, *executor_),
                  .bits_per_weight = bits_per_weight(model)};
    if (reference_) result.sqnr_db = weight_sqnr_db(*reference_, model);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

  // Throws: Io.
  void write_sensitivities() const {
    const Windows windows{options_.calibration, options_.windows.tokens};
    const std::vector<std::string> name = {"calib.ids"};
    const std::vector<float> values = sensitivities(*reference_, read_texts(options_.tokens, name, windows).front(),
                                                    windows, options_.probe, statistics_, *executor_);
    Layout layout;
    for (const LinearWeight* weight : linears(*reference_)) {
      layout.tensors.push_back({.name = weight->name, .dtype = DType::Float32, .shape = {1}});
    }
    const auto file = create_checkpoint(options_.sensitivity, "safetensors", {.overwrite = true});
    file->begin(layout);
    for (std::size_t i = 0; i < values.size(); ++i) {
      file->write(i, 0, 1, 0, sizeof(float), std::as_bytes(std::span(&values[i], 1)));
    }
    file->finish();
  }

 private:
  LmModel load(const Row& row) const {
    if (row.scheme) return through_encoding(*reference_, *row.scheme, statistics_, *executor_);
    LmModel model = load_lm(row.name, reference_ ? std::optional(reference_->config) : std::nullopt, &original_);
    if (!reference_) return model;
    model.config.rope_dtype = reference_->config.rope_dtype;  // of the original, whatever a copy is stored as
    if (model.config != reference_->config) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "not a form of the reference model",
                   .file = row.name,
                   .expected = "the configuration of " + options_.reference,
                   .found = "another one"});
    }
    return model;
  }

  const Options& options_;
  std::unique_ptr<Executor> executor_;
  std::vector<Text> texts_;
  std::optional<LmModel> reference_;
  Source original_;
  Predictions expected_;
  Analysis statistics_;
};

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// The table is Markdown, so that it can be read here and put on a page.
void print_header(const Options& options, std::ostream& out) {
  out << "| weights | bpw |";
  for (const std::string& text : options.texts) out << ' ' << text << " |";
  out << " KLD | SQNR dB |\n|---|---|";
  for (std::size_t t = 0; t < options.texts.size(); ++t) out << "---|";
  out << "---|---|\n" << std::flush;
}

void print_row(const Result& result, std::ostream& out) {
  out << "| " << printable(result.name) << " | " << fixed(result.bits_per_weight, 3) << " |";
  for (const double perplexity : result.score.perplexity) out << ' ' << fixed(perplexity, 3) << " |";
  const auto& divergence = result.score.kl_divergence;
  const bool differs = result.sqnr_db && std::isfinite(*result.sqnr_db);
  out << ' ' << (divergence ? fixed(*divergence, 5) : "–") << " | " << (differs ? fixed(*result.sqnr_db, 2) : "–")
      << " |\n"
      << std::flush;
}

json::Value to_json(const Result& result, const Options& options) {
  json::Object perplexity;
  for (std::size_t t = 0; t < options.texts.size(); ++t) {
    perplexity.emplace_back(options.texts[t], result.score.perplexity[t]);
  }
  json::Value row;
  row.set("weights", result.name);
  row.set("bits_per_weight", result.bits_per_weight);
  row.set("perplexity", std::move(perplexity));
  if (result.score.kl_divergence) row.set("kl_divergence", *result.score.kl_divergence);
  if (result.sqnr_db) row.set("sqnr_db", *result.sqnr_db);
  row.set("seconds", result.seconds);
  return row;
}

void run(const Options& options, std::ostream& out) {
  const Evaluation evaluation(options);
  if (!options.sensitivity.empty()) evaluation.write_sensitivities();
  json::Array rows;
  for (const Row& row : options.rows) {
    const Result result = evaluation.run(row);
    if (!options.json && rows.empty()) print_header(options, out);
    if (!options.json) print_row(result, out);
    rows.push_back(to_json(result, options));
  }
  if (!options.json || options.rows.empty()) return;
  json::Value report;
  report.set("windows", options.windows.count);
  report.set("window_tokens", options.windows.tokens);
  if (!options.reference.empty()) report.set("kl_windows", options.kl_windows);
  report.set("rows", std::move(rows));
  out << json::dump(report) << '\n';
}

}  // namespace

int run_lm(std::span<const std::string> arguments, std::ostream& out, std::ostream& err) {
  try {
    const Options options = parse(arguments);
    if (options.help) {
      out << kHelp;
    } else {
      run(options, out);
    }
    return 0;
  } catch (const Error& problem) {
    err << "mq-bench-lm: " << problem.what() << '\n';
    return exit_code(problem.code());
  } catch (const std::exception& problem) {
    err << "mq-bench-lm: " << problem.what() << '\n';
    return exit_code(ErrorCode::Internal);
  }
}

}  // namespace mq::bench
