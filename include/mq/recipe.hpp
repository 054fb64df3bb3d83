// What is wanted of a conversion: Recipe, and its JSON form. Plain values; thread-safe.
//
// A recipe holds what decides the bytes of an output and nothing else: no path, no number of threads. Its text stands
// in quantization_metadata.json of every output and makes the same bytes from the same input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mq/budget.hpp"
#include "mq/dtype.hpp"
#include "mq/limits.hpp"
#include "mq/quant_spec.hpp"
#include "mq/search.hpp"

namespace mq {

enum class IfIndivisible { Error, Keep, Channel };  // a group size that does not divide a row

// What the tensors that match a pattern become. PATTERN: a glob on the whole name (`*` crosses dots, `?`, `[abc]`),
// `re:REGEX` (found anywhere in the name), or `kind:NAME` with a name of TensorKind in lower case.
struct Rule {
  std::string pattern;
  std::optional<QuantSpec> spec;  // empty: keep
  bool optional = false;          // may match nothing
  // For these tensors instead of the recipe's; empty: the recipe's.
  std::optional<DType> scale_dtype = {};
  std::optional<IfIndivisible> if_indivisible = {};

  bool operator==(const Rule&) const = default;
};
// Parses "PATTERN=SPEC" or "PATTERN=keep". Throws: Usage.
Rule parse_rule(std::string_view text);

// A batch normalization that becomes part of the layer before it (mq/fold.hpp). Layers are called as in the names of
// their tensors: "features.0" has "features.0.weight".
struct BatchNormFold {
  std::string layer;
  std::string norm;
  double eps = 0;  // of the normalization, which no state_dict holds

  bool operator==(const BatchNormFold&) const = default;
};

// How the input's tensors get the names that patterns see: the fields of OpenOptions of the same names; and what is
// folded then. For those who open the input; make_plan() records them and nothing more.
struct InputNames {
  std::string root;
  std::vector<std::string> strip_prefixes;
  std::vector<std::pair<std::string, std::string>> renames;
  std::vector<BatchNormFold> folds = {};

  bool operator==(const InputNames&) const = default;
};

// Recipe::format where the name of the output decides. Whoever makes a plan has to choose first.
inline constexpr std::string_view kAutoFormat = "auto";

struct Recipe {
  // Repack: quantized weights keep their codes and scales and get the layout of another dialect; all else is copied.
  enum class Task { Quantize, Dequantize, Copy, Repack };
  Task task = Task::Quantize;
  InputNames input = {};

  QuantSpec scheme;      // for what the rules do not decide
  std::string mix = {};  // one of gguf_mixes() (mq/gguf.hpp), which then decides instead of the scheme
  // Instead of one scheme: the best choice among candidates (see measure_rates()). Without candidates, those of the
  // dialect.
  std::optional<Budget> budget;
  std::vector<QuantSpec> candidates;
  bool weigh_tensors = false;  // the errors that a budget adds up are multiplied with Analysis::sensitivity
  // For all that is quantized, as far as its encoding has a search (Step::effort says).
  Effort effort = Effort::Search;
  Objective objective = Objective::SquaredError;
  std::vector<std::string> only;     // if not empty, other tensors are kept
  std::vector<std::string> include;  // quantized although they are kept by default
  std::vector<std::string> exclude;  // kept, whatever else says
  std::vector<Rule> rules;           // the first that matches decides
  std::int64_t min_numel = 512;      // smaller tensors are kept by default
  bool allow_unknown = false;        // large float tensors of no known kind may be kept
  // Whether weights to quantize may hold NaN and infinities, which are an error otherwise. The finite values of a block
  // then make its scale (1 if there are none), NaN becomes the code of the zero point and decodes to 0, an infinity the
  // outermost code of its sign. They are counted in the report and have no part in its errors.
  bool allow_nan = false;
  IfIndivisible if_indivisible = IfIndivisible::Error;
  std::optional<DType> keep;         // type of float tensors that are not quantized; empty: their own
  std::optional<DType> scale_dtype;  // empty: what the dialect says
  std::optional<DType> dtype;        // of dequantized tensors; empty: that of the original
  std::string dialect = "compressed_tensors";
  // A program whose rules the plan is held against ("vllm"; mq/destination.hpp); empty: none.
  std::string runtime = {};
  // Of the output: "safetensors", "hf_safetensors", "gguf" (whose dialect is always that of the name), "torch_zip"
  // (where 8-bit integers of the dialect compressed_tensors become PyTorch's own quantized tensors) or kAutoFormat.
  std::string format = "safetensors";
  // Tensor bytes of a file of a folder, at most, unless one tensor has more; empty: the files of the source.
  std::optional<std::int64_t> max_shard_bytes;
  bool sha256 = false;  // digest with SHA-256 instead of XXH3-128
  Limits limits = {};   // of the size of the tensors and of the names written; changes no output

  bool operator==(const Recipe&) const = default;
};

// The name of a task in recipes and on the command line: "quantize", "dequantize", "convert", "repack".
std::string_view to_string(Recipe::Task task) noexcept;

// Reads a recipe from a JSON object. What it does not say stays as it is in defaults; a list that it has replaces the
// one there. An object with a member "recipe" (quantization_metadata.json) holds the recipe there, and its other
// members are not looked at. source names the text in errors.
// Throws: Usage naming the key by its path ("rules[1].spec") and line, with what was expected and what was found:
// broken JSON, unknown keys (with the nearest known one) and keys of another task, wrong types, values that do not
// exist.
Recipe parse_recipe(std::string_view json, std::string_view source = "recipe", const Recipe& defaults = {});

// The recipe as the JSON text that parse_recipe() reads back to an equal value (but for limits, which it does not
// hold): every key of its task, with every default spelled out, in a fixed order. Text of patterns must be UTF-8.
std::string to_string(const Recipe& recipe);

}  // namespace mq
