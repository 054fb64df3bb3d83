// The options of `quantize`, which is most of the command line.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mq/destination.hpp"
#include "mq/gguf.hpp"
#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {
namespace {

// Puts the values of an option, in their order, before what a recipe said.
template <class T, class Parse>
std::function<void(const std::string&)> prepends(std::vector<T>& list, Parse parse) {
  return [&list, parse, at = std::size_t{0}](const std::string& text) mutable {
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(at++), parse(text));
  };
}

void add_selection(CLI::App& app, Options& options) {
  Recipe& recipe = options.recipe;
  add_list(app, kSelection, "--only", "PATTERN", "quantize nothing but tensors that match; may be given several times",
           prepends(recipe.only, [](const std::string& text) { return text; }));
  add_list(app, kSelection, "--include", "PATTERN",
           "quantize these too, although they are kept by default (embeddings, the output head, small tensors)",
           prepends(recipe.include, [](const std::string& text) { return text; }));
  add_list(app, kSelection, "--exclude", "PATTERN", "keep these, whatever else says",
           prepends(recipe.exclude, [](const std::string& text) { return text; }));
  add_list(app, kSelection, "--rule", "PATTERN=SCHEME|keep",
           "a scheme of their own for tensors that match; the first matching rule decides",
           prepends(recipe.rules, [](const std::string& text) { return parse_rule(text); }));
  add_value(app, kSelection, "--min-numel", "N", "keep tensors with fewer elements than this (default 512)",
            [&](const std::string& text) {
              recipe.min_numel = parse_integer("--min-numel", text, 0, std::numeric_limits<std::int64_t>::max());
            });
  add_flag(app, kSelection, "--allow-unknown",
           "go on where tensors of no known kind, which are kept, are more than 5 % of all bytes",
           recipe.allow_unknown);
  add_flag(app, kSelection, "--allow-nan",
           "quantize weights with NaN and infinities, which are an error otherwise: NaN becomes 0, infinities the "
           "outermost code; how many is reported by tensor",
           recipe.allow_nan);
}

// A name of llama.cpp's that means several types is not one of a scheme.
QuantSpec parse_scheme(const std::string& text) {
  try {
    return parse_spec(text);
  } catch (const Error&) {
    if (std::ranges::find(gguf_mixes(), text) == gguf_mixes().end()) throw;
  }
  throw Error({.code = ErrorCode::Usage,
               .message = printable(text) + " is a mix of several encodings",
               .hint = "ask for it with --mix " + text});
}

// One budget instead of one scheme.
void add_budget(CLI::App& app, Options& options, const CLI::Option* scheme) {
  Recipe& recipe = options.recipe;
  const auto set = [&recipe, scheme](const char* option, Budget budget) {
    if (scheme->count() > 0) throw Error(ErrorCode::Usage, std::string(option) + " and --scheme exclude each other");
    recipe.budget = budget;
  };
  CLI::Option* bits = add_value(
      app, kEncoding, "--target-bpw", "BITS",
      "instead of one scheme, for each tensor the one of the --candidates with which all of them together take so many "
      "bits per weight, scales included, and lose the least",
      [set](const std::string& text) { set("--target-bpw", parse_budget(text + "bpw")); });
  CLI::Option* size =
      add_value(app, kEncoding, "--target-size", "SIZE", "the same for the bytes of all tensors of OUT, as in 4.5GB",
                [set](const std::string& text) {
                  set("--target-size", {Budget::Kind::Bytes, static_cast<double>(parse_bytes("--target-size", text))});
                });
  CLI::Option* sqnr = add_value(app, kEncoding, "--target-sqnr", "DB",
                                "the smallest choice with at least this signal-to-noise ratio over all of them",
                                [set](const std::string& text) {
                                  set("--target-sqnr", {Budget::Kind::Sqnr, parse_decibels("--target-sqnr", text)});
                                });
  bits->excludes(size)->excludes(sqnr);
  size->excludes(sqnr);
  add_value(app, kEncoding, "--candidates", "SCHEME,...",
            "what a target chooses from (default: a row of widths that the layout holds)",
            [&recipe](const std::string& text) {
              recipe.candidates.clear();
              for (std::size_t begin = 0; begin <= text.size();) {
                const std::size_t comma = std::min(text.find(',', begin), text.size());
                recipe.candidates.push_back(parse_candidate(std::string_view(text).substr(begin, comma - begin)));
                begin = comma + 1;
              }
            });
  add_value(app, kEncoding, "--sensitivity", "FILE",
            "what errors matter in each tensor, for the target: tensors of one number, called like the weights",
            [&](const std::string& text) {
              options.sensitivity = text;
              options.recipe.weigh_tensors = true;
            });
  add_flag(
      app, kEncoding, "--measure",
      "encode the tensors in every candidate and show what each costs and loses; with --dry-run nothing is written",
      options.measure);
}

void add_encoding(CLI::App& app, Options& options) {
  Recipe& recipe = options.recipe;
  CLI::Option* scheme =
      add_value(app, kEncoding, "--scheme", "SCHEME", "the encoding (default int8); `mq-convert schemes` lists all",
                [&](const std::string& text) { recipe.scheme = parse_scheme(text); });
  CLI::Option* bits =
      add_value(app, kEncoding, "--bits", "N", "short for --scheme intN", [&, scheme](const std::string& text) {
        if (scheme->count() > 0) throw Error(ErrorCode::Usage, "--bits and --scheme exclude each other");
        recipe.scheme = parse_spec("int" + std::to_string(parse_integer("--bits", text, 2, 8)));
      });
  CLI::Option* dialect = add_value(app, kEncoding, "--dialect", dialect_names(),
                                   "names and packing of quantized weights (default compressed_tensors)",
                                   [&](const std::string& text) { recipe.dialect = parse_dialect(text); });
  CLI::Option* mix = add_value(
      app, kEncoding, "--mix", "q4_k_m|...",
      "for a GGUF output: a type for every tensor, as llama.cpp's file type of that name has them",
      [&, scheme](const std::string& text) {
        if (scheme->count() > 0) throw Error(ErrorCode::Usage, "--mix and --scheme exclude each other");
        recipe.mix = std::string(gguf_mixes()[parse_word("--mix", text, {gguf_mixes().begin(), gguf_mixes().end()})]);
      });
  add_destination(app, options, {scheme, bits, dialect, mix});
  add_budget(app, options, scheme);
  add_value(app, kEncoding, "--if-indivisible", "error|keep|channel",
            "what to do with a weight whose rows the group size does not divide: stop, keep it, or give it one scale "
            "per channel (default error)",
            [&](const std::string& text) {
              recipe.if_indivisible =
                  static_cast<IfIndivisible>(parse_word("--if-indivisible", text, {"error", "keep", "channel"}));
            });
  add_value(app, kEncoding, "--scale-dtype", "DTYPE",
            "type of the stored scales: f32, f16 or bf16 (default: what the output's layout asks for, usually the "
            "model's own type)",
            [&](const std::string& text) { recipe.scale_dtype = parse_type("--scale-dtype", text); });
  add_value(app, kEncoding, "--stats", "FILE",
            "ranges of what layers take in, for static activations (+int8:tensor:static, +nvfp4): tensors "
            "MODULE.input_min and MODULE.input_max of one number each",
            [&](const std::string& text) { options.stats = text; });
  add_value(app, kEncoding, "--keep", "same|fp16|bf16",
            "type of float tensors that are not quantized (default same: their own)", [&](const std::string& text) {
              constexpr std::array<std::optional<DType>, 3> kTypes = {std::nullopt, DType::Float16, DType::BFloat16};
              recipe.keep = kTypes[parse_word("--keep", text, {"same", "fp16", "bf16"})];
            });
  add_value(
      app, kEncoding, "--effort", "fast|search|max|reference",
      "how hard to look for scales: those of the range of each block (fast), the best of some twenty for codes of "
      "up to 6 bits and for groups of up to 128 (search, the default), the best of all (max, very slow), or what "
      "ggml's own encoder writes, bit for bit (reference, "
      "for its block types)",
      [&](const std::string& text) { recipe.effort = parse_one_of("--effort", text, kEfforts); });
  add_value(
      app, kEncoding, "--objective", "mse|magnitude|x2|lp:P|importance:FILE",
      "what a search takes for the error: squared errors as they are (default), weighted by sqrt(mean x^2) + |x|, "
      "by x^2, the errors' P-norm with P from 0.5 to 8 instead, or squares weighted by a number for each input column "
      "from FILE (tensors of E[x^2] called like the weights or with "
      ".in_sq_mean; llama.cpp's imatrix, in GGUF or .dat)",
      [&](const std::string& text) {
        constexpr std::string_view kImportance = "importance:";
        const bool file = text.starts_with(kImportance) && text.size() > kImportance.size();
        options.importance = file ? text.substr(kImportance.size()) : std::string();
        const std::optional<Objective> objective = file ? Objective::Importance : parse_objective(text);
        if (!objective || (!file && *objective == Objective::Importance)) {
          refuse_value("--objective", "mse, magnitude, x2, lp:P with P from 0.5 to 8, or importance:FILE", text);
        }
        recipe.objective = *objective;
      });
}

constexpr const char* kFooter =
    R"(SCHEME is NAME[:tensor|:channel[=AXIS]|:gN|:bRxC][:sym|:asym][:narrow|:full|:signed][:dq][:oN][+ACTIVATION]
  int8                      8-bit integers, one scale per output channel, symmetric
  int4                      4-bit integers, one scale per 128 weights (g128), symmetric
  int4:g32:asym             one scale and one zero point per 32 weights
  nf4:dq                    4-bit normal floats, scales quantized too (--dialect bitsandbytes)
  int8_outliers:o16         16 columns of outliers stay 16-bit floats (--dialect mono_quant)
  int8+int8:tensor:static   activations too, with scales from --stats FILE
  nvfp4+nvfp4               4-bit floats, activations too, with scales from --stats FILE
  int8:tensor               one scale for a whole tensor
  fp8_e4m3, fp16, bf16      8-bit floats with a scale per channel; plain casts

PATTERN is a glob on the whole name (* crosses dots), re:REGEX, or kind:KIND with KIND one of
  linear conv conv_transpose conv1d recurrent experts embedding head norm router bias vector not_float unknown
Precedence: --exclude, the first matching --rule, --include, defaults. A pattern that matches nothing is an error.

Examples:
  mq-convert quantize model.pt model-int8.safetensors
  mq-convert quantize Llama-3.2-1B Llama-3.2-1B-int4 --scheme int4:g128
  mq-convert quantize Llama-3.2-1B Llama-3.2-1B-q4_k_m.gguf --mix q4_k_m
  mq-convert quantize Llama-3.2-1B Llama-3.2-1B-w4a16 --for vllm:w4a16
  mq-convert quantize model.pt small.safetensors --bits 4 --rule 'kind:conv=int8' --exclude 'head.*'
  mq-convert quantize model.pt small.safetensors --bits 4 --dry-run)";

}  // namespace

void add_destination(CLI::App& app, Options& options, const EncodingOptions& given) {
  const auto take = [&options, given](const std::string& text) {
    const Destination& destination = parse_destination(text);
    const auto refuse = [&](const char* option, const std::string& found) {
      throw Error({.code = ErrorCode::Usage,
                   .message = std::string("--for and ") + option + " contradict each other",
                   .expected = std::string(option == std::string_view("--dialect") ? destination.dialect
                                           : destination.mix.empty()               ? destination.scheme
                                                                                   : destination.mix),
                   .found = found});
    };
    const bool says = given.scheme->count() > 0 || given.bits->count() > 0;
    const bool mixes = !destination.mix.empty();
    if (says && (mixes || options.recipe.scheme != parse_spec(destination.scheme))) {
      refuse("--scheme", to_string(options.recipe.scheme));
    }
    if (given.mix->count() > 0 && options.recipe.mix != destination.mix) refuse("--mix", options.recipe.mix);
    if (given.dialect->count() > 0 && options.recipe.dialect != destination.dialect) {
      refuse("--dialect", options.recipe.dialect);
    }
    apply(destination, options.recipe);
  };
  add_value(app, kEncoding, "--for", "RUNTIME:NAME",
            "encoding, layout and container for a program, and its rules: an error names what it would not load; "
            "`mq-convert schemes` lists the presets",
            take);
}

void add_quantize_options(CLI::App& app, Options& options) {
  add_encoding(app, options);
  add_selection(app, options);
  app.footer(kFooter);
}

}  // namespace mq::tool
