// 8-bit floats with a scale for every block; symmetric, saturating.
//
//   E4M3FN: s = absmax / 448     E5M2: s = absmax / 57344
//   q = nearest fp8 value of clamp(x / s, -largest, largest), ties to even      y = value(q) * s
//
// mxfp8 is the same with s = 2^(floor(log2 absmax) - 8), or - 15 for E5M2, for 32 weights of a row, stored as e8m0
// (OCP Microscaling 1.0); values above the largest float times s saturate. A search tries the powers beside it.
//
// Codes are one byte each: sign, 4 or 5 bits of exponent, 3 or 2 of mantissa.
#include <array>
#include <string>

#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/scaled.hpp"

namespace mq {
namespace {

std::span<const SchemeInfo> list_schemes() {
  static const std::array<SchemeInfo, 2> rows{{
      {"fp8_e4m3", {.codec = "fp8", .element = DType::Float8E4M3FN, .bits = 8}, "8-bit floats, 4 bits of exponent"},
      {"fp8_e5m2", {.codec = "fp8", .element = DType::Float8E5M2, .bits = 8}, "8-bit floats, 5 bits of exponent"},
  }};
  return rows;
}

std::span<const SchemeInfo> list_mx_schemes() {
  static const std::array<SchemeInfo, 2> rows = [] {
    const auto spec = [](DType element) {
      return QuantSpec{.codec = "mxfp8",
                       .element = element,
                       .bits = 8,
                       .granularity = PerGroup{32},
                       .scale_dtype = DType::Float8E8M0FNU};
    };
    return std::array<SchemeInfo, 2>{
        {{"mxfp8", spec(DType::Float8E4M3FN), "8-bit floats (E4M3), a power of two for 32 weights"},
         {"mxfp8_e5m2", spec(DType::Float8E5M2), "8-bit floats (E5M2), a power of two for 32 weights"}}};
  }();
  return rows;
}

void check_mx(const QuantSpec& spec) {
  for (const SchemeInfo& scheme : list_mx_schemes()) {
    if (spec == scheme.spec) return;
  }
  throw Error(
      {.code = ErrorCode::Usage, .message = "mxfp8 has no options", .expected = "groups of 32, scales of f8_e8m0"});
}

bool searches_mx(const CodecRequest& request) {
  return is_search(request.search.effort) && !scaled_observes(request);
}

void check(const QuantSpec& spec) {
  if ((spec.element != DType::Float8E4M3FN && spec.element != DType::Float8E5M2) || spec.bits != 8) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "fp8 codes of this kind do not exist",
                 .expected = "float8_e4m3fn or float8_e5m2, 8 bits",
                 .found = std::string(to_string(spec.element)) + ", " + std::to_string(spec.bits) + " bits"});
  }
  if (spec.mapping != Mapping::Symmetric || spec.range != RangeKind::Narrow) {
    throw Error(ErrorCode::Usage, "fp8 has one mapping, symmetric, and one range");
  }
  check_scaled(spec);
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  if (request.form != CodeForm::Bytes) throw Error(ErrorCode::Usage, "fp8 codes are whole bytes and cannot be packed");
  const MatrixShape& matrix = request.layout.matrix;
  std::vector<PartInfo> list{{"codes", request.spec.element, matrix.rows, matrix.cols}};
  add_scale_parts(request, list);
  return list;
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const auto& state = static_cast<const ScaledState&>(base);
  const kernels::KernelTable& k = active_table();
  const auto quantize = state.request().spec.element == DType::Float8E4M3FN ? k.quantize_e4m3 : k.quantize_e5m2;
  auto* const codes = reinterpret_cast<std::uint8_t*>(spans[0].data());
  return state.encode(tile, x, spans, true, [&](const Strip& strip, const float* in, const StripParams& params) {
    quantize(in, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run), params.scale.data(),
             codes + strip.offset);
  });
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const kernels::KernelTable& k = active_table();
  const auto dequantize = request.spec.element == DType::Float8E4M3FN ? k.dequantize_e4m3 : k.dequantize_e5m2;
  const auto* const codes = reinterpret_cast<const std::uint8_t*>(spans[0].data());
  StripParams params;
  for_each_strip(request.layout, tile, true, [&](const Strip& strip) {
    load_params(request, tile, strip, spans, params);
    dequantize(codes + strip.offset, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run),
               params.scale.data(), y + strip.offset);
  });
}

}  // namespace

constinit const Codec kFp8 = with_scales({
    .name = "fp8",
    .options = {.granularity = true, .mapping = false, .activation = true},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .encode = encode,
    .decode = decode,
});

constinit const Codec kMxfp8 = with_scales({
    .name = "mxfp8",
    .options = {},
    .schemes = list_mx_schemes,
    .check = check_mx,
    .parts = parts,
    .searches = searches_mx,
    .encode = encode,
    .decode = decode,
});

}  // namespace mq
