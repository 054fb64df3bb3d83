#include "src/matmul_activations.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "src/active_table.hpp"
#include "src/float_rows.hpp"

namespace mq::detail {
namespace {

QuantSpec spec_of(const ActivationSpec& activation, bool reduce_range) {
  QuantSpec spec;
  spec.granularity = PerTensor{};
  spec.mapping = activation.mapping;
  if (activation.element == "int8") {
    if (!reduce_range) return spec;
    spec.bits = 7;
    if (activation.mapping == Mapping::Asymmetric) spec.element = DType::UInt8;
    return spec;
  }
  if (activation.element != "fp8_e4m3" || activation.mapping != Mapping::Symmetric || reduce_range) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "activations cannot be quantized so",
                 .expected = "int8, or symmetric fp8_e4m3 of the whole range",
                 .found = activation.element});
  }
  spec.codec = "fp8";
  spec.element = DType::Float8E4M3FN;
  return spec;
}

}  // namespace

ActivationQuantizer::ActivationQuantizer(const ActivationSpec& spec, bool reduce_range)
    : spec_(spec_of(spec, reduce_range)), rule_(spec_), per_token_(spec.per_token) {}

void ActivationQuantizer::require_finite(const kernels::Range& range, std::int64_t row) {
  if (range.nonfinite == 0) return;
  throw Error({.code = ErrorCode::Numeric,
               .message = "activations cannot be quantized: row " + std::to_string(row),
               .expected = "finite values",
               .found = std::to_string(range.nonfinite) + " that are NaN or infinite"});
}

ActivationQuantizer::Params ActivationQuantizer::choose(const kernels::Range& range, std::int64_t row) const {
  require_finite(range, row);
  float scale = rule_.scale(range.lo, range.hi);
  round_scales(DType::Float32, &scale, 1);
  return {scale, spec_.is_integer() ? rule_.zero_point(range.lo, scale) : 0.0f};
}

void ActivationQuantizer::quantize(const float* x, std::size_t k, const Params& params, std::int8_t* codes) const {
  const float inverse = 1.0f / params.scale;
  active_table().quantize_8(x, 1, k, &inverse, &params.zero_point, rule_.code_min(), rule_.code_max(),
                            reinterpret_cast<std::uint8_t*>(codes));
}

void ActivationQuantizer::round_trip(const float* x, std::size_t k, const Params& params, std::uint8_t* codes,
                                     float* y) const {
  const kernels::KernelTable& table = active_table();
  if (is_integer()) {
    auto* const integers = reinterpret_cast<std::int8_t*>(codes);
    quantize(x, k, params, integers);
    table.dequantize_i8(integers, 1, k, &params.scale, &params.zero_point, y);
  } else {
    table.quantize_e4m3(x, 1, k, &params.scale, codes);
    table.dequantize_e4m3(codes, 1, k, &params.scale, y);
  }
}

const std::byte* ActivationReader::bytes_of_row(std::int64_t index) const {
  return rows_.view.bytes.data() + bytes_of(rows_.view.dtype, index * rows_.k);
}

void ActivationReader::to_floats(const std::byte* from, std::size_t n, float* to) const {
  const DType dtype = rows_.view.dtype;
  if (dtype == DType::UInt8) {
    const float zero_point = shared_->zero_point + 128;
    active_table().dequantize_u8(reinterpret_cast<const std::uint8_t*>(from), 1, n, &shared_->scale, &zero_point, to);
  } else if (dtype == DType::Int8) {
    active_table().dequantize_i8(reinterpret_cast<const std::int8_t*>(from), 1, n, &shared_->scale,
                                 &shared_->zero_point, to);
  } else {
    widen(dtype, from, static_cast<std::int64_t>(n), to);
  }
}

const float* ActivationReader::whole_row(std::int64_t index, float* scratch) const {
  const std::byte* from = bytes_of_row(index);
  if (rows_.view.dtype == DType::Float32 && reinterpret_cast<std::uintptr_t>(from) % alignof(float) == 0) {
    return reinterpret_cast<const float*>(from);
  }
  to_floats(from, static_cast<std::size_t>(rows_.k), scratch);
  return scratch;
}

const float* ActivationReader::row(std::int64_t index, float* scratch) const {
  const float* const x = whole_row(index, scratch);
  if (rows_.outliers.empty()) return x;
  if (x != scratch) std::copy_n(x, rows_.k, scratch);
  for (const std::int32_t column : rows_.outliers) scratch[column] = 0;
  return scratch;
}

float ActivationReader::element(std::int64_t index, std::int32_t column) const {
  float value = 0;
  to_floats(bytes_of_row(index) + bytes_of(rows_.view.dtype, column), 1, &value);
  return value;
}

void ActivationReader::share_params(float* scratch) {
  if (quantizer_ == nullptr || quantizer_->per_token() || is_fixed_) return;
  kernels::Range all = {0, 0, 0};
  for (std::int64_t r = 0; r < rows_.rows; ++r) {
    kernels::Range range;
    active_table().range(row(r, scratch), 1, static_cast<std::size_t>(rows_.k), &range);
    ActivationQuantizer::require_finite(range, r);
    all.lo = r == 0 ? range.lo : std::min(all.lo, range.lo);
    all.hi = r == 0 ? range.hi : std::max(all.hi, range.hi);
  }
  shared_ = quantizer_->choose(all, 0);
}

ActivationQuantizer::Params ActivationReader::params_of(std::int64_t index, const float* x) const {
  if (shared_ && !is_fixed_) return *shared_;
  kernels::Range range;
  active_table().range(x, 1, static_cast<std::size_t>(rows_.k), &range);
  if (!shared_) return quantizer_->choose(range, index);
  ActivationQuantizer::require_finite(range, index);
  return *shared_;
}

ActivationQuantizer::Params ActivationReader::codes(std::int64_t index, float* scratch, std::int8_t* to) const {
  const auto k = static_cast<std::size_t>(rows_.k);
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes_of_row(index));
  if (rows_.view.dtype == DType::Int8) {
    std::memcpy(to, from, k);
    return *shared_;
  }
  if (rows_.view.dtype == DType::UInt8) {
    for (std::size_t i = 0; i < k; ++i) to[i] = static_cast<std::int8_t>(from[i] ^ 0x80);
    return *shared_;
  }
  const float* x = row(index, scratch);
  const ActivationQuantizer::Params params = params_of(index, x);
  quantizer_->quantize(x, k, params, to);
  return params;
}

}  // namespace mq::detail
