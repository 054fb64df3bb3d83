// How much of a language model an encoding keeps: perplexity, divergence from a reference, error of the weights.
// The definitions stand in bench/lm.md. Parallel over windows; results do not depend on the number of threads.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/lm_model.hpp"
#include "mq/executor.hpp"
#include "mq/plan.hpp"
#include "mq/quant_spec.hpp"

namespace mq::bench {

// A text is cut into windows that do not overlap; a model sees nothing outside of one. The first ones are evaluated.
struct Windows {
  std::int64_t count = 400;   // of each text
  std::int64_t tokens = 256;  // of each window, at least 2

  std::int64_t total_tokens() const noexcept { return count * tokens; }
};

struct Text {
  std::string name;  // "eval.mixed"
  std::vector<std::int32_t> tokens;
};

// The texts of these names from a file that holds the ids of their tokens as tensors.
// Throws: Usage if one is missing, no Int32 vector or shorter than the windows; Corrupt, Io.
std::vector<Text> read_texts(const std::filesystem::path& path, std::span<const std::string> names,
                             const Windows& windows);

// What a model says of the next tokens in each window of a text: column t holds the logarithms of the probabilities
// after token t; of the window's last token nothing is kept. 4 bytes for each token and word of the vocabulary.
using Predictions = std::vector<Eigen::MatrixXf>;
Predictions predictions(const LmModel& model, const Text& text, const Windows& windows, Executor& executor);

struct Score {
  std::vector<double> perplexity;       // of each text
  std::optional<double> kl_divergence;  // mean per next token, in nats
};

// Evaluates the windows of each text; KL divergence from the reference's predictions of the first text, if there are
// any, in as many of its windows.
Score evaluate(const LmModel& model, std::span<const Text> texts, const Windows& windows, const Predictions& reference,
               Executor& executor);

struct Encoding {
  QuantSpec spec;
  Effort effort = Effort::Search;
  Objective objective = Objective::SquaredError;
};

// The model with every Linear weight but the head encoded and decoded again. statistics: what Objective::Importance
// takes, by name of the weight.
// Throws: as quantize(); Usage if there are no statistics for a weight.
LmModel through_encoding(const LmModel& model, const Encoding& encoding, const Analysis& statistics,
                         Executor& executor);

// What a unit of squared error in each Linear weight but the head adds to the divergence from the model itself, as
// mq::add_sensitivity takes it, in the order of linears(): the divergence (as of evaluate()) with that weight alone
// through the encoding, over its squared error; 0 where there is none. Parallel over weights.
// Throws: as through_encoding().
std::vector<float> sensitivities(const LmModel& model, const Text& text, const Windows& windows,
                                 const Encoding& encoding, const Analysis& statistics, Executor& executor);

// 10 log10 of signal over error, in dB, over the Linear weights that differ from the reference's; infinite if none
// does.
double weight_sqnr_db(const LmModel& reference, const LmModel& model);

// Storage of the Linear weights, scales and zero points included.
double bits_per_weight(const LmModel& model);

}  // namespace mq::bench
