// A naming and packing convention: how the parts of an encoding become stored tensors, and back. It knows no container.
// One dialect per file; each ends in one `const Dialect`. registry.cpp lists them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/plan.hpp"
#include "mq/source.hpp"
#include "src/codecs/codec.hpp"
#include "src/json.hpp"

namespace mq {

struct DialectRequest {
  SharedString name;  // of the logical tensor
  Shape shape;        // as stored: after a transpose
  int leading_dims = 1;
  SharedString file;  // shard
  CodecRequest codec;
  DType original = DType::Float32;        // type of the weights before
  std::optional<Range> input_range = {};  // of the activations, where they are static
  bool reading = false;                   // asked about what another writer may have made, which can be more
  // Of the weight, where `shape` is that of its groups (Dialect::groups_cross_rows); else empty.
  Shape weight_shape = {};
};

// One stored tensor of an encoded logical tensor.
struct StoredOutput {
  TensorInfo info;
  std::string_view part;  // static: the codec's part it holds, or what a constant is (StoredPart::part)
  PartForm form = {};
  // The bytes of a constant: what follows from the request and not from the weights.
  std::vector<std::byte> (*constant)(const DialectRequest& request) = nullptr;
  // The bytes of a text that tells a part, which belongs to the whole tensor, in another way than by its bytes.
  std::vector<std::byte> (*text)(const DialectRequest& request, std::span<const std::byte> part) = nullptr;
  bool optional = false;  // other writers may have left it out
};

struct Dialect {
  std::string_view name;

  // All of these are null in a dialect that is only read, up to recognise.
  // Storage type of the scales where neither spec nor recipe says, for a model weight of type `original`.
  DType (*scale_dtype)(const QuantSpec& spec, DType original);
  CodeForm (*form)(const QuantSpec& spec);
  // The stored tensors, in order. Pure.
  // Throws: Usage for what this dialect cannot hold, with the nearest thing it can.
  std::vector<StoredOutput> (*outputs)(const DialectRequest& request);
  // The model's quantization config, given all steps; null, as a function or a value, if there is none.
  json::Value (*config)(const Plan& plan);
  // Runtimes that load a model directory with such weights.
  std::vector<std::string> (*loads_in)(const QuantSpec& spec);
  // A file beside config.json that holds the quantization config too; empty: none.
  std::string_view config_file = {};
  // Whether it is that file alone that holds it, and config.json has none.
  bool config_file_only = false;
  // Entries of the weights' files that describe the tensors in them; null: none.
  Metadata (*metadata)(const Plan& plan) = nullptr;

  // Finds the quantized weights of a checkpoint: one logical tensor for each, whose parts say which stored tensors it
  // takes. config is the quantization config found with the checkpoint, or null. Empty optional: not this dialect.
  // Null: nothing is stored as by this dialect alone, or another one recognises it.
  // Throws: Corrupt if tensors and config contradict each other.
  std::optional<std::vector<LogicalTensor>> (*recognise)(const Checkpoint& checkpoint,
                                                         const json::Value& config) = nullptr;

  // Whether groups go on from one row to the next where their size does not divide the rows: the weight is flattened.
  bool groups_cross_rows = false;
  // The sizes of groups that a message about one that does not fit looks among: powers of two.
  std::int64_t least_group = 8, most_group = 256;
  // The encodings that a budget chooses among if nothing is said, as text.
  std::span<const std::string_view> candidates = {};
  // Whether its runtimes join weights (src/fused_sets.hpp), which then must have one encoding.
  bool joins_sets = false;
};

std::span<const Dialect* const> all_dialects() noexcept;

// Throws: Usage with the names there are.
const Dialect& dialect_named(std::string_view name);

// The request that outputs() and the codec see for a tensor; shape is the stored one. Pure.
DialectRequest make_request(const Dialect& dialect, SharedString name, Shape shape, int leading_dims, SharedString file,
                            const QuantSpec& spec, DType original);

}  // namespace mq
