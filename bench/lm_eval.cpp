#include "bench/lm_eval.hpp"

#include <algorithm>
#include <cmath>

#include "bench/lm_forward.hpp"
#include "mq/checkpoint.hpp"
#include "mq/error.hpp"
#include "mq/metrics.hpp"
#include "mq/quantize.hpp"

namespace mq::bench {
namespace {

// The values of a weight after an encoding: the one place that quantizes.
LinearWeight through_encoding(const LinearWeight& linear, const Encoding& encoding, const Analysis& statistics) {
  SearchOptions search{.effort = encoding.effort, .objective = encoding.objective};
  const auto found = statistics.importance.find(linear.name);
  if (found != statistics.importance.end()) search.importance = *found->second;
  return {.name = linear.name,
          .weight = dequantize(quantize(linear.weight.view(), encoding.spec, search)),
          .stored_bits = mq::bits_per_weight(encoding.spec, linear.weight.shape()) *
                         static_cast<double>(linear.weight.view().numel())};
}

std::span<const std::int32_t> window_of(const Text& text, const Windows& windows, std::int64_t index) {
  return std::span(text.tokens)
      .subspan(static_cast<std::size_t>(index * windows.tokens), static_cast<std::size_t>(windows.tokens));
}

Eigen::MatrixXf predict(const LmModel& model, std::span<const std::int32_t> window) {
  Eigen::MatrixXf result = logits(model, window).leftCols(static_cast<Eigen::Index>(window.size()) - 1);
  for (auto column : result.colwise()) {
    column.array() -= column.maxCoeff();
    column.array() -= std::log(column.array().exp().sum());
  }
  return result;
}

// Sums over the next tokens of a window.
double negative_log_likelihood(const Eigen::MatrixXf& log_probabilities, std::span<const std::int32_t> window) {
  double sum = 0;
  for (Eigen::Index t = 0; t < log_probabilities.cols(); ++t) {
    sum -= static_cast<double>(log_probabilities(window[static_cast<std::size_t>(t) + 1], t));
  }
  return sum;
}

double kl_divergence(const Eigen::MatrixXf& reference, const Eigen::MatrixXf& log_probabilities) {
  double sum = 0;
  for (Eigen::Index t = 0; t < reference.cols(); ++t) {
    const auto expected = reference.col(t).array();
    sum += static_cast<double>((expected.exp() * (expected - log_probabilities.col(t).array())).sum());
  }
  return sum;
}

double mean_per_token(std::span<const double> window_sums, const Windows& windows) {
  double sum = 0;
  for (const double window : window_sums) sum += window;
  return sum / (static_cast<double>(window_sums.size()) * static_cast<double>(windows.tokens - 1));
}

}  // namespace

std::vector<Text> read_texts(const std::filesystem::path& path, std::span<const std::string> names,
                             const Windows& windows) {
  const auto file = open_checkpoint(path);
  std::vector<Text> texts;
  for (const std::string& name : names) {
    const auto fail = [&](std::string found) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "no text to evaluate",
                   .file = path.string(),
                   .tensor = name,
                   .expected = "int32 ids of at least " + std::to_string(windows.total_tokens()) + " tokens",
                   .found = std::move(found)});
    };
    const auto index = file->find(name);
    if (!index) fail("no such tensor");
    const TensorInfo& info = file->tensors()[*index];
    if (info.dtype != DType::Int32 || info.shape.size() != 1 || info.numel() < windows.total_tokens()) {
      fail(std::string(to_string(info.dtype)) + " " + to_string(info.shape));
    }
    const Tensor ids = file->read(*index);
    const auto values = ids.as<std::int32_t>();
    texts.push_back({name, {values.begin(), values.end()}});
  }
  return texts;
}

Predictions predictions(const LmModel& model, const Text& text, const Windows& windows, Executor& executor) {
  Predictions result(static_cast<std::size_t>(windows.count));
  executor.parallel_for(windows.count, [&](std::int64_t w) {
    result[static_cast<std::size_t>(w)] = predict(model, window_of(text, windows, w));
  });
  return result;
}

Score evaluate(const LmModel& model, std::span<const Text> texts, const Windows& windows, const Predictions& reference,
               Executor& executor) {
  const auto per_text = static_cast<std::size_t>(windows.count);
  std::vector<double> losses(texts.size() * per_text), divergences(reference.size());
  executor.parallel_for(static_cast<std::int64_t>(losses.size()), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    const auto window = window_of(texts[at / per_text], windows, i % windows.count);
    const Eigen::MatrixXf predicted = predict(model, window);
    losses[at] = negative_log_likelihood(predicted, window);
    if (at < reference.size()) divergences[at] = kl_divergence(reference[at], predicted);
  });
  Score score;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    score.perplexity.push_back(std::exp(mean_per_token(std::span(losses).subspan(t * per_text, per_text), windows)));
  }
  if (!divergences.empty()) score.kl_divergence = mean_per_token(divergences, windows);
  return score;
}

LmModel through_encoding(const LmModel& model, const Encoding& encoding, const Analysis& statistics,
                         Executor& executor) {
  LmModel result = model;
  const std::vector<LinearWeight*> weights = linears(result);
  executor.parallel_for(static_cast<std::int64_t>(weights.size()), [&](std::int64_t i) {
    LinearWeight& weight = *weights[static_cast<std::size_t>(i)];
    weight = through_encoding(weight, encoding, statistics);
  });
  return result;
}

std::vector<float> sensitivities(const LmModel& model, const Text& text, const Windows& windows,
                                 const Encoding& encoding, const Analysis& statistics, Executor& executor) {
  const Predictions expected = predictions(model, text, windows, executor);
  std::vector<float> result(linears(model).size());
  executor.parallel_for(static_cast<std::int64_t>(result.size()), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    LmModel changed = model;
    LinearWeight& weight = *linears(changed)[at];
    const Tensor original = weight.weight;
    weight = through_encoding(weight, encoding, statistics);
    const double error_sq = measure(original.view(), weight.weight.view()).error_sq;
    if (error_sq == 0) return;
    const Score score = evaluate(changed, std::span(&text, 1), windows, expected, serial_executor());
    result[at] = static_cast<float>(std::max(0.0, *score.kl_divergence) / error_sq);
  });
  return result;
}

double weight_sqnr_db(const LmModel& reference, const LmModel& model) {
  const auto expected = linears(reference);
  const auto found = linears(model);
  ErrorStats total;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const ErrorStats error = measure(expected[i]->weight.view(), found[i]->weight.view());
    if (error.error_sq != 0) total.add(error);
  }
  return total.sqnr_db();
}

double bits_per_weight(const LmModel& model) {
  double bits = 0, weights = 0;
  for (const LinearWeight* linear : linears(model)) {
    bits += linear->stored_bits;
    weights += static_cast<double>(linear->weight.view().numel());
  }
  return bits / weights;
}

}  // namespace mq::bench
