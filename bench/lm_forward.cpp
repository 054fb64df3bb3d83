#include "bench/lm_forward.hpp"

#include <cmath>
#include <string>

#include "mq/error.hpp"

namespace mq::bench {
namespace {

// Activations have a column for each token.
using Activations = Eigen::MatrixXf;
using Weight = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

Weight matrix(const Tensor& tensor) {
  return {tensor.as<float>().data(), tensor.shape()[0], tensor.shape()[1]};
}

Activations apply(const LinearWeight& linear, const Activations& x) {
  return matrix(linear.weight) * x;
}

Activations rms_norm(const Activations& x, const Tensor& weight, double eps) {
  const Eigen::Map<const Eigen::ArrayXf> gain(weight.as<float>().data(), x.rows());
  const Eigen::RowVectorXf scale =
      (x.colwise().squaredNorm().array() / static_cast<float>(x.rows()) + static_cast<float>(eps)).rsqrt();
  return ((x.array().rowwise() * scale.array()).colwise() * gain).matrix();
}

float rounded(double value, DType dtype) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::BFloat16) return static_cast<float>(Eigen::bfloat16(single));
  if (dtype == DType::Float16) return static_cast<float>(Eigen::half(single));
  return single;
}

// The angles of each pair of dimensions at each position.
struct Rope {
  Eigen::ArrayXXf cos, sin;  // [head_dim / 2, positions]

  Rope(const LmConfig& config, Eigen::Index positions) {
    Eigen::ArrayXXf angles(config.head_dim / 2, positions);
    for (Eigen::Index i = 0; i < angles.rows(); ++i) {
      const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
      const float frequency = rounded(1.0 / std::pow(config.rope_theta, exponent), config.rope_dtype);
      for (Eigen::Index t = 0; t < positions; ++t) angles(i, t) = static_cast<float>(t) * frequency;
    }
    cos = angles.cos();
    sin = angles.sin();
  }

  // Turns every head: dimension i with dimension i + head_dim / 2.
  void turn(Activations& x) const {
    const Eigen::Index half = cos.rows();
    for (Eigen::Index first = 0; first < x.rows(); first += 2 * half) {
      auto a = x.middleRows(first, half).array();
      auto b = x.middleRows(first + half, half).array();
      const Eigen::ArrayXXf turned = a * cos - b * sin;
      b = b * cos + a * sin;
      a = turned;
    }
  }
};

// Turns each column into the weights of the tokens up to its own.
void causal_softmax(Eigen::MatrixXf& scores) {
  for (Eigen::Index t = 0; t < scores.cols(); ++t) {
    auto seen = scores.col(t).head(t + 1).array();
    seen = (seen - seen.maxCoeff()).exp();
    seen /= seen.sum();
    scores.col(t).tail(scores.rows() - t - 1).setZero();
  }
}

Activations attention(const LmLayer& layer, const LmConfig& config, const Rope& rope, const Activations& x) {
  Activations q = apply(layer.q, x);
  Activations k = apply(layer.k, x);
  const Activations v = apply(layer.v, x);
  rope.turn(q);
  rope.turn(k);
  const Eigen::Index dim = config.head_dim;
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  Activations mixed(q.rows(), q.cols());
  Eigen::MatrixXf scores(q.cols(), q.cols());
  for (Eigen::Index head = 0; head < config.heads; ++head) {
    const Eigen::Index kv = head / (config.heads / config.kv_heads);
    scores.noalias() = k.middleRows(kv * dim, dim).transpose() * (scale * q.middleRows(head * dim, dim));
    causal_softmax(scores);
    mixed.middleRows(head * dim, dim).noalias() = v.middleRows(kv * dim, dim) * scores;
  }
  return apply(layer.o, mixed);
}

Activations swiglu(const LmLayer& layer, const Activations& x) {
  Activations gate = apply(layer.gate, x);
  const Activations up = apply(layer.up, x);
  gate.array() *= up.array() / (1.0F + (-gate.array()).exp());
  return apply(layer.down, gate);
}

Activations embed(const LmModel& model, std::span<const std::int32_t> tokens) {
  const LmConfig& config = model.config;
  if (static_cast<std::int64_t>(tokens.size()) > config.positions) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "sequence too long for the model",
                 .expected = "at most " + std::to_string(config.positions) + " tokens",
                 .found = std::to_string(tokens.size())});
  }
  Activations x(config.hidden, static_cast<Eigen::Index>(tokens.size()));
  for (Eigen::Index t = 0; t < x.cols(); ++t) {
    const std::int32_t token = tokens[static_cast<std::size_t>(t)];
    if (token < 0 || token >= config.vocab) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "token is not in the model's vocabulary",
                   .expected = "less than " + std::to_string(config.vocab),
                   .found = std::to_string(token)});
    }
    x.col(t) = matrix(model.embedding).row(token);
  }
  return x;
}

}  // namespace

Eigen::MatrixXf logits(const LmModel& model, std::span<const std::int32_t> tokens) {
  const LmConfig& config = model.config;
  Activations x = embed(model, tokens);
  const Rope rope(config, x.cols());
  for (const LmLayer& layer : model.layers) {
    x += attention(layer, config, rope, rms_norm(x, layer.input_norm, config.rms_eps));
    x += swiglu(layer, rms_norm(x, layer.post_norm, config.rms_eps));
  }
  return matrix(model.head) * rms_norm(x, model.norm, config.rms_eps);
}

}  // namespace mq::bench
