// The options of `batch` and `recipe`: recipes without one input and one output.
#include <string>

#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {
namespace {

constexpr const char* kBatchFooter =
    R"(A line of LIST is INPUT, INPUT<tab>NAME for another name in the folder, or a JSON object with the members input,
output and recipe (a file that changes the recipe for this model). Empty lines and those that begin with # are skipped.
All models share the threads. For each, one JSON object is printed on a line when it ends: model (its line in LIST),
input, output, status (done, skipped, failed or cancelled), exit_code, seconds, input_bytes, output_bytes, sqnr_db,
error. A model that fails stops no other; the exit code is the highest of all.

An output that exists is skipped if its report says just what this run would: the same version, recipe, tensors and
digests of the input's bytes, which are read for this, and if it opens and holds what is planned.

Examples:
  mq-convert batch models.txt --out quantized --recipe recipe.yaml --jobs 2
  ls models/*.pt | mq-convert batch - --out quantized --scheme int4:channel --max-memory 8GiB)";

}  // namespace

void add_batch(CLI::App& app, Options& options) {
  add_path(app, "LIST", "what to quantize, one input per line (- is standard input)", options.in);
  add_path(app, "-o,--out", "the folder of the outputs; made if it is missing", options.out);
  add_recipe_option(app, options);
  add_quantize_options(app, options);
  add_log_option(app, options);
  add_flag(app, kOutput, "--overwrite", "replace outputs that exist and were made from something else",
           options.overwrite);
  add_layout_options(app, options);
  add_sync_option(app, options);
  add_value(
      app, kGeneral, "--jobs", "N", "models at a time (default: as many as threads, at most 4)",
      [&](const std::string& text) { options.jobs = static_cast<int>(parse_integer("--jobs", text, 1, kMaxThreads)); });
  add_value(
      app, kGeneral, "--max-memory", "SIZE",
      "memory of all conversions together, as in 4GiB: models wait until there is room for theirs (default: 256MiB "
      "beside their lists of tensors; a model that needs more runs alone)",
      [&](const std::string& text) { options.max_memory = parse_bytes("--max-memory", text); });
  app.footer(kBatchFooter);
}

void add_recipe_printing(CLI::App& app, Options& options) {
  add_recipe_option(app, options);
  add_quantize_options(app, options);
  add_layout_options(app, options);
  app.footer(
      "The text is JSON, and what --recipe reads; a file may leave out what is a default, and may be YAML.\n\n"
      "Examples:\n  mq-convert recipe --scheme int4:g64 --rule 'kind:conv=int8' > recipe.json\n"
      "  mq-convert recipe --recipe recipe.yaml\n  mq-convert recipe --recipe "
      "out.safetensors.quantization_metadata.json");
}

}  // namespace mq::tool
