// Activations as the products read them: tiles of rows, quantized on the way where that is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/kernel_table.hpp"
#include "mq/quant_spec.hpp"
#include "mq/tensor.hpp"
#include "src/packed_weights.hpp"
#include "src/qparams.hpp"

namespace mq::detail {

// Rows of any float type, seen as [rows, k].
struct ActivationRows {
  TensorView view;
  std::int64_t rows = 0;
  std::int64_t k = 0;
};

// The quantization of rows and its result for them.
class ActivationQuantizer {
 public:
  // Throws: Usage for an element that activations are not quantized to.
  explicit ActivationQuantizer(const ActivationSpec& spec);

  bool is_integer() const noexcept { return spec_.is_integer(); }
  bool per_token() const noexcept { return per_token_; }
  bool is_asymmetric() const noexcept { return spec_.mapping == Mapping::Asymmetric; }

  struct Params {
    float scale = 1;
    float zero_point = 0;
  };
  // Throws: Numeric naming the row if the range has seen values that are not finite.
  Params choose(const kernels::Range& range, std::int64_t row) const;

  // Codes of a row of integers.
  void quantize(const float* x, std::size_t k, const Params& params, std::int8_t* codes) const;
  // The values that the codes of a row stand for; x and y may not overlap.
  void round_trip(const float* x, std::size_t k, const Params& params, std::uint8_t* codes, float* y) const;

 private:
  QuantSpec spec_;
  ParamRule rule_;
  bool per_token_;
};

// Reads rows as floats and finds what quantizing them takes. Const calls may come from many threads.
class ActivationReader {
 public:
  ActivationReader(const ActivationRows& rows, const ActivationQuantizer* quantizer)
      : rows_(rows), quantizer_(quantizer) {}

  // A row as floats: in place where they are such, else in scratch.
  const float* row(std::int64_t index, float* scratch) const;

  // Finds the parameters that all rows share; scratch is a row of floats.
  void share_params(float* scratch);
  ActivationQuantizer::Params params_of(std::int64_t index, const float* x) const;

  const ActivationQuantizer* quantizer() const noexcept { return quantizer_; }
  std::int64_t k() const noexcept { return rows_.k; }

 private:
  ActivationRows rows_;
  const ActivationQuantizer* quantizer_;
  std::optional<ActivationQuantizer::Params> shared_;
};

}  // namespace mq::detail
