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

// Rows of any float type, seen as [rows, k]; or of codes, as the quantizer has them (Int8) or 128 more (UInt8).
struct ActivationRows {
  TensorView view;
  std::int64_t rows = 0;
  std::int64_t k = 0;
  std::span<const std::int32_t> outliers = {};  // columns that floats are read as 0 in, and read apart
};

// The quantization of rows and its result for them.
class ActivationQuantizer {
 public:
  // reduce_range: integers of one bit less, unsigned if asymmetric.
  // Throws: Usage for an element that activations are not quantized to.
  explicit ActivationQuantizer(const ActivationSpec& spec, bool reduce_range = false);

  bool is_integer() const noexcept { return spec_.is_integer(); }
  bool per_token() const noexcept { return per_token_; }
  bool is_asymmetric() const noexcept { return spec_.mapping == Mapping::Asymmetric; }

  struct Params {
    float scale = 1;
    float zero_point = 0;
  };
  // Throws: Numeric naming the row if the range has seen values that are not finite.
  Params choose(const kernels::Range& range, std::int64_t row) const;

  // Throws: Numeric naming the row, as choose().
  static void require_finite(const kernels::Range& range, std::int64_t row);

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
  // fixed: parameters of all rows that are known beforehand; there are some where the rows are codes.
  ActivationReader(const ActivationRows& rows, const ActivationQuantizer* quantizer,
                   std::optional<ActivationQuantizer::Params> fixed = {})
      : rows_(rows), quantizer_(quantizer), is_fixed_(fixed.has_value()), shared_(fixed) {}

  // A row as floats: in place where they are such, else in scratch.
  const float* row(std::int64_t index, float* scratch) const;
  // What a row has in a column, of outliers too.
  float element(std::int64_t index, std::int32_t column) const;

  // Finds the parameters that all rows share, unless they are fixed or belong to each row; scratch is a row of floats.
  void share_params(float* scratch);
  // Throws: Numeric naming the row if it is not finite.
  ActivationQuantizer::Params params_of(std::int64_t index, const float* x) const;
  // The codes of a row of integers, and what they stand for; scratch is a row of floats. Throws: as params_of().
  ActivationQuantizer::Params codes(std::int64_t index, float* scratch, std::int8_t* to) const;

  const ActivationQuantizer* quantizer() const noexcept { return quantizer_; }
  std::int64_t k() const noexcept { return rows_.k; }

 private:
  const std::byte* bytes_of_row(std::int64_t index) const;
  const float* whole_row(std::int64_t index, float* scratch) const;
  // n elements that lie there.
  void to_floats(const std::byte* from, std::size_t n, float* to) const;

  ActivationRows rows_;
  const ActivationQuantizer* quantizer_;
  bool is_fixed_;
  std::optional<ActivationQuantizer::Params> shared_;
};

}  // namespace mq::detail
