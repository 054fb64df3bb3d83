// What is written and how: the options of every command that converts.
#include <string>

#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {

void add_layout_options(CLI::App& app, Options& options) {
  add_flag(app, kOutput, "--sha256", "record SHA-256 digests of the input's tensors instead of XXH3-128",
           options.recipe.sha256);
  add_value(app, kOutput, "--max-shard-size", "SIZE",
            "bytes of tensors in one file of a folder, as in 5GB (default: the files of the source)",
            [&](const std::string& text) { options.recipe.max_shard_bytes = parse_bytes("--max-shard-size", text); });
}

void add_log_option(CLI::App& app, Options& options) {
  add_flag(app, kGeneral, "--log-json",
           "tell on stderr what happens, one JSON object per line: start, plan, progress, tensor, warning, done, error",
           options.log_json);
}

void add_output_options(CLI::App& app, Options& options) {
  add_log_option(app, options);
  add_value(app, kOutput, "--to", "safetensors|torch|gguf", "container of OUT (default: by its suffix)",
            [&](const std::string& text) {
              parse_word("--to", text, {"safetensors", "torch", "gguf"});
              options.to = text;
            });
  add_flag(app, kOutput, "--overwrite", "replace OUT if it exists", options.overwrite);
  add_flag(app, kOutput, "--dry-run",
           "print the plan, the exact size, and what it takes of disk, memory and time; write nothing",
           options.dry_run);
  add_layout_options(app, options);
  add_value(app, kGeneral, "--max-memory", "SIZE",
            "stay below this much memory, with fewer threads if need be, or say what needs more (default: 256MiB and "
            "1 kB or so for each tensor)",
            [&](const std::string& text) { options.max_memory = parse_bytes("--max-memory", text); });
  add_flag(app, kOutput, "--resume",
           "keep what is done in OUT.partial if the run ends early, however it ends, and go on with what is there",
           options.resume);
  add_value(app, kOutput, "--journal-every", "SIZE",
            "with --resume: how much is written before it is noted as done (default 1GiB, and at least every 10 s)",
            [&](const std::string& text) { options.journal_bytes = parse_bytes("--journal-every", text); });
  add_value(app, kOutput, "--like", "BASE.gguf",
            "for a GGUF output: take names, key-values and vocabulary from this file instead of config.json and the "
            "tokenizer",
            [&](const std::string& text) { options.like = text; });
  if (options.verb == Verb::Quantize) {
    add_value(app, kOutput, "--reuse", "OLD",
              "an earlier output: tensors of the same input and encoding are copied from it instead of made again",
              [&](const std::string& text) { options.reuse = text; });
  }
  add_sync_option(app, options);
}

void add_sync_option(CLI::App& app, Options& options) {
  app.add_flag_callback(
         "--no-sync", [&] { options.sync = false; },
         "do not wait until the data has reached the disk: faster, but a power cut may lose OUT")
      ->group(kOutput);
}

}  // namespace mq::tool
