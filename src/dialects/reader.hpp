// What the readers of all dialects share: finding stored tensors by name, holding them against what the dialect would
// write, and what this library notes for itself under the key "mono_quant" of a quantization config.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "src/dialects/dialect.hpp"
#include "src/pool.hpp"

namespace mq {

// A quantized weight as a reader makes it out from names and config, before its parts are held against it.
struct WeightClaim {
  SharedString name;
  Shape shape;  // as stored: of the matrix that is encoded
  int leading_dims = 1;
  QuantSpec spec;  // with its scale_dtype
  DType original = DType::Float32;
  bool transposed = false;
  std::optional<CodeForm> form = {};  // of dialects that have both; empty: that of the spec
};

class DialectReader {
 public:
  // config: the quantization config, or null.
  DialectReader(const Checkpoint& checkpoint, const json::Value& config);

  const Checkpoint& checkpoint() const noexcept { return checkpoint_; }
  std::optional<std::size_t> find(std::string_view name) const;
  const TensorInfo& tensor(std::size_t index) const { return checkpoint_.tensors()[index]; }

  // The stored tensor NAME.
  // Throws: Corrupt, naming it, if there is none.
  const TensorInfo& require(const std::string& name) const;

  [[noreturn]] void corrupt(std::string_view tensor, std::string message, std::string expected,
                            std::string found) const;
  // The same for something that exists and is not read: Unsupported.
  [[noreturn]] void unsupported(std::string_view tensor, std::string message, std::string expected,
                                std::string found) const;

  // Takes over what the config notes about the weight under "mono_quant".
  void apply_notes(WeightClaim& claim) const;

  // The logical tensor, whose parts are the stored tensors that the dialect would write for the claim.
  // Throws: Corrupt, naming the tensor, for one that is missing or of another type or shape. Parts other than codes may
  // have another shape of as many elements.
  LogicalTensor assemble(const Dialect& dialect, const WeightClaim& claim);

  Shared<QuantSpec> share(const QuantSpec& spec) { return specs_.share(spec); }

 private:
  const Checkpoint& checkpoint_;
  std::unordered_map<std::string_view, std::size_t> index_;  // of the checkpoint's names
  std::unordered_map<std::string, const json::Value*> notes_;
  Pool<Shared<QuantSpec>> specs_;
};

// What a config says of a weight of a plan where this library is the one to say it: "spec", "dtype", and where they
// apply "transposed" and "leading_dims".
json::Value note_of(const Plan& plan, const Step& step);
// Takes over the last two.
void apply_layout(const json::Value& note, WeightClaim& claim);

// Adds "mono_quant" to a quantization config: notes about the weights of a plan that the dialect's own fields do not
// describe, by `is_standard`; nothing if there are none.
void add_notes(json::Value& config, const Plan& plan, bool (*is_standard)(const Step& step, DType original));

// "model.layers.0.mlp.up_proj" for its ".weight"; other names stay as they are.
std::string module_of(std::string_view name);

// The text of a JSON value for an error; "nothing" if there is none.
std::string text_of(const json::Value* value);

// A member that is a whole number, a truth value or a string; else nothing.
std::optional<std::int64_t> int_member(const json::Value& object, std::string_view key);
std::optional<bool> bool_member(const json::Value& object, std::string_view key);
std::optional<std::string> string_member(const json::Value& object, std::string_view key);

bool is_scale_type(DType dtype) noexcept;      // float32, float16 or bfloat16
DType scale_type_of(DType original) noexcept;  // the model's own type if it is one of these, else float32

}  // namespace mq
