// What the command line asked for: plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/plan.hpp"

namespace mq::tool {

enum class Verb {
  Quantize,
  Dequantize,
  Convert,
  Batch,
  Info,
  Compare,
  Validate,
  Audit,
  Recipe,
  Schemes,
  Selftest,
  Limits
};

struct Options {
  Verb verb = Verb::Info;
  std::string message = {};  // --help and --version: printed instead of running a verb

  std::filesystem::path in = {};   // compare: the original
  std::filesystem::path out = {};  // compare: the quantized one
  OpenOptions open = {};
  std::vector<BatchNormFold> folds = {};  // of the command line
  bool find_folds = false;                // batch normalizations are folded by the names of layers too
  std::optional<double> bn_eps = {};      // of folds that do not say it
  mq::Recipe recipe = {.format = std::string(kAutoFormat)};
  std::string to = {};  // container of OUT; empty: by its suffix
  bool overwrite = false;
  bool sync = true;
  bool dry_run = false;
  bool resume = false;
  std::optional<std::int64_t> journal_bytes = {};  // with resume: between two notes
  std::filesystem::path reuse = {};                // an earlier output
  std::filesystem::path like = {};                 // a GGUF file whose names and key-values the output gets

  int jobs = 0;                                 // batch: models at a time; 0: a few
  std::optional<std::int64_t> max_memory = {};  // bytes; batch: of all conversions together

  std::filesystem::path importance = {};  // of columns, for the objective of that name

  std::filesystem::path stats = {};  // ranges of what layers take in, for static activations

  std::filesystem::path sensitivity = {};  // of tensors, for recipes that weigh them

  bool measure = false;  // quantize: show what each candidate costs and loses

  std::string tensor = {};   // info: the one to look into
  std::string runtime = {};  // validate: whose rules
  bool tree = false;         // info: everything in the file
  std::optional<double> min_sqnr = {};
  std::optional<double> min_channel_sqnr = {};

  int threads = 0;  // 0: as many as this process may use
  bool json = false;
  bool log_json = false;
  bool verbose = false;
};

}  // namespace mq::tool
