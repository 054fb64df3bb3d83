// From what there is and what is wanted (mq/recipe.hpp) to what will be done: Plan, make_plan. Plain values;
// thread-safe.
//
// A plan is a pure function of its arguments and reads no tensor: a dry run, the exact size of the output and the real
// run are the same plan. Every tensor gets a step with a reason; nothing is skipped silently.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/budget.hpp"
#include "mq/checkpoint.hpp"
#include "mq/observer.hpp"
#include "mq/quant_spec.hpp"
#include "mq/recipe.hpp"
#include "mq/source.hpp"

namespace mq {

// What a tensor is in its model, found from name, shape and layer type.
enum class TensorKind : std::uint8_t {
  Linear,         // [out, in]
  Conv,           // [out, in/groups, ...]
  ConvTranspose,  // [in, out/groups, ...]: channels on axis 1
  Conv1D,         // GPT-2's [in, out]: stored as its transpose when quantized
  Recurrent,      // LSTM and GRU weight_ih_l*, weight_hh_l*
  Experts,        // [experts, out, in]
  Embedding,
  Head,  // output projection of a model
  Norm,
  Router,  // gate of a mixture of experts
  Bias,
  Vector,    // any other tensor of less than two dimensions
  NotFloat,  // integers, booleans, complex numbers
  Unknown,
};
std::string_view to_string(TensorKind kind) noexcept;

struct GgufModel;  // mq/gguf.hpp

// Facts that need the data, gathered by analyse(). The common case needs none.
struct Analysis {
  // All by logical tensor name.
  std::map<std::string, Range> ranges;  // of all values; saves per-tensor specs a pass
  // Of what the layer of a weight takes in, for static activations (add_input_ranges()).
  std::map<std::string, Range> inputs;
  // Mean square of each input column (or any other weight of its errors), for Objective::Importance.
  std::map<std::string, std::shared_ptr<const std::vector<float>>> importance;
  // What a unit of squared error of a tensor matters, for Recipe::weigh_tensors.
  std::map<std::string, double> sensitivity;
  Rates rates;  // of the candidates, for Recipe::budget
  // For the format "gguf", which needs it: what gguf_model() says of the same source.
  std::shared_ptr<const GgufModel> gguf;

  bool operator==(const Analysis&) const = default;
};

// A change of a tensor's rows on their way to the encoding.
struct Transform {
  enum class Kind : std::uint8_t {
    Transpose,
    // The rows of each of `heads` heads are two halves; row i of one is followed by row i of the other. The order that
    // llama.cpp wants of queries and keys that are rotated.
    InterleaveHalves,
  };
  Kind kind = Kind::Transpose;
  std::int32_t heads = 0;

  bool operator==(const Transform&) const = default;
};

// One unit of work: logical inputs, a chain of row transforms, an encoding, stored outputs.
struct Step {
  enum class Action : std::uint8_t { Copy, Encode, Drop };

  SharedString id;                      // name of the logical tensor; unique in a plan
  InlineVector<std::size_t, 1> inputs;  // into Source::tensors
  InlineVector<Transform, 1> transforms;
  Action action = Action::Copy;
  TensorKind kind = TensorKind::Unknown;
  bool by_scheme = false;        // nothing but the recipe's scheme, or its budget, decided for the encoding
  SharedString reason;           // "linear", "kept: norm", "tied to model.embed_tokens.weight"
  Shared<QuantSpec> spec;        // Encode: the encoding with its scale_dtype; else null
  bool repacks = false;          // Encode: codes and scales are those of the input, stored in another way
  Effort effort = Effort::Fast;  // Encode: how its scales are found
  std::shared_ptr<const std::vector<float>> importance;  // Encode: if the search asks for it
  std::optional<Range> range;                            // Encode: range of all values, if the analysis had it
  std::optional<Range> input_range;                      // Encode: of the activations, where they are static
  std::string_view dialect = "plain";                    // Encode: names and packing of the outputs; static
  SharedString output_name = {};                         // of the one output, where it is not the id; else empty
  int leading_dims = 1;                                  // dimensions that make up the rows
  InlineVector<std::size_t, 1> outputs;  // into Plan::layout.tensors, in the order of the dialect's parts
  std::int64_t input_bytes = 0;
  std::int64_t output_bytes = 0;
  std::int64_t state_bytes = 0;  // memory beyond the buffers of a tile while the step runs
  double bits_per_weight = 0;    // 8 * output_bytes / numel

  // Whether the step changes values by quantization (Encode to something that is not a plain float type).
  bool quantizes() const noexcept { return action == Action::Encode && spec->codec != "float_cast"; }
  bool transposes() const noexcept;
  std::int32_t interleaved_heads() const noexcept;  // 0: the rows keep their order
};

// A tensor of the output that no tensor of the source becomes: it follows from the model's configuration.
struct ConstantTensor {
  std::size_t output = 0;  // into Plan::layout.tensors
  std::vector<float> values;
};

struct Plan {
  Recipe recipe;
  Source source;
  std::vector<Step> steps;  // one for each logical tensor, in source order
  std::vector<ConstantTensor> constants;
  Layout layout;  // the whole output but the report
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes;     // ties, types changed, what a reader should know
  std::vector<std::string> loads_in;  // runtimes that read the output; empty: this library only
  std::int64_t input_bytes = 0;       // tensor bytes
  std::int64_t output_bytes = 0;      // tensor bytes
};

// Throws: Usage naming the tensor or pattern: a pattern that matches nothing, group sizes that do not divide (all such
// tensors at once, with sizes that fit), unknown tensors above 5 % of all bytes, a combination that no dialect holds,
// output names that collide, a format that is not chosen, a budget that no choice keeps to, or that the analysis has
// not measured. Limit: tensors that claim far more bytes than the files that hold them, names too long.
Plan make_plan(Source source, const Recipe& recipe, const Analysis& analysis = {});

}  // namespace mq
