// Weights of a Llama model in float32, whatever checkpoint they come from: what bench/lm_forward.hpp computes with.
// Plain values; copies share the bytes of their tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/source.hpp"
#include "mq/tensor.hpp"

namespace mq::bench {

struct LmConfig {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  // divides heads: each serves heads / kv_heads of them
  std::int64_t head_dim = 0;  // even
  std::int64_t vocab = 0;
  std::int64_t positions = 0;  // tokens in a sequence, at most
  double rms_eps = 0;
  double rope_theta = 0;
  DType rope_dtype = DType::Float32;  // RoPE's frequencies are rounded to it: see bench/lm.md
  bool tied = false;                  // the head is the embedding

  bool operator==(const LmConfig&) const = default;
};

// Reads the text of a Hugging Face config.json; `source` names it in errors.
// Throws: Unsupported naming the key for anything but Llama with SiLU, no biases and plain RoPE; Corrupt.
LmConfig parse_lm_config(std::string_view text, std::string_view source);

struct LinearWeight {
  std::string name;
  Tensor weight;           // float32, [out, in]
  double stored_bits = 0;  // all that the checkpoint holds of it
};

struct LmLayer {
  Tensor input_norm;
  LinearWeight q, k, v, o;
  Tensor post_norm;
  LinearWeight gate, up, down;
};

struct LmModel {
  LmConfig config;
  Tensor embedding;  // [vocab, hidden]
  std::vector<LmLayer> layers;
  Tensor norm;
  Tensor head;  // [vocab, hidden]; never quantized by an encoding, as the tied one of small models
};

// The weights that encodings replace: every Linear but the head, in the order of the layers.
std::vector<LinearWeight*> linears(LmModel& model);
std::vector<const LinearWeight*> linears(const LmModel& model);

// Opens a checkpoint of any kind and decodes it. A checkpoint without a config.json takes `config`; one under
// llama.cpp's names is understood if `original` describes what it was made of. Throws: Unsupported (another
// architecture, no config), Corrupt (a tensor that is missing or has another shape), Io.
LmModel load_lm(const std::filesystem::path& path, const std::optional<LmConfig>& config = {},
                const Source* original = nullptr);

}  // namespace mq::bench
