// Codes of 4 bits that stand for uneven levels, with a scale for every block:
//
//   q = the level nearest to x / s          y = level(q) * s
//
//   nf4     levels  quantiles of the normal distribution (Dettmers et al., QLoRA, 2023)
//           s       absmax, f32; negative only with :signed, after a search
//   fp4     levels  bitsandbytes' own floats of 4 bits: 0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1 and a sign
//           s       absmax, f32
//           :dq stores the scales of both as codes of 8 bits (double_quant.hpp)
//   mxfp4   levels  E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign (OCP Microscaling 1.0)
//           s       2^(floor(log2 absmax) - 2), e8m0
//
// A quotient in the middle of two levels gets the lower one in nf4 and fp4 (by magnitude), the even code in mxfp4.
// Codes are stored one per byte, or packed, element 2k of a row in the low nibble of byte k.
#include "src/codecs/levels.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "mq/pack.hpp"
#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/double_quant.hpp"
#include "src/codecs/scaled.hpp"

namespace mq {
namespace {

constexpr float kNever = std::numeric_limits<float>::infinity();

constexpr std::array<std::uint8_t, 16> in_order() {
  std::array<std::uint8_t, 16> codes{};
  std::iota(codes.begin(), codes.end(), std::uint8_t{0});
  return codes;
}

// Eight levels and the middles between them, lower ones for ties.
constexpr kernels::Levels magnitudes(const std::array<float, 8>& values) {
  kernels::Levels levels{.value = {}, .middle = {}, .sign_magnitude = true};
  std::copy(values.begin(), values.end(), levels.value);
  std::fill(std::begin(levels.middle), std::end(levels.middle), kNever);
  for (std::size_t i = 0; i + 1 < values.size(); ++i) levels.middle[i] = (values[i] + values[i + 1]) / 2;
  return levels;
}

constexpr kernels::Levels even_ties(kernels::Levels levels) {
  // Above the number before an odd middle is at or above that middle.
  for (std::size_t i = 1; i < 7; i += 2) levels.middle[i] *= 1 - std::numeric_limits<float>::epsilon() / 2;
  return levels;
}

constexpr kernels::Levels kE2m1 = even_ties(magnitudes({0, 0.5f, 1, 1.5f, 2, 3, 4, 6}));

constexpr std::array<LevelFormat, 4> kFormats{{
    {"nf4",
     signed_levels({-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
                    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
                    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
                    0.7229568362236023f, 1.0f}),
     in_order(), 0},
    {"fp4",
     magnitudes({0.0f, 0.005208333488553762f, 0.1666666716337204f, 0.25f, 0.3333333432674408f, 0.5f,
                 0.6666666865348816f, 1.0f}),
     {0, 1, 6, 7, 4, 5, 2, 3, 8, 9, 14, 15, 12, 13, 10, 11},
     0},
    {"mxfp4", kE2m1, in_order(), 2},
    {"nvfp4", kE2m1, in_order(), 2},
}};

std::span<const SchemeInfo> nf4_schemes() {
  static const std::array<SchemeInfo, 1> rows{
      {{"nf4",
        {.codec = "nf4", .element = DType::UInt8, .bits = 4, .granularity = PerGroup{64}},
        "4 bits, quantiles of the normal distribution"}}};
  return rows;
}

std::span<const SchemeInfo> fp4_schemes() {
  static const std::array<SchemeInfo, 1> rows{
      {{"fp4",
        {.codec = "fp4", .element = DType::UInt8, .bits = 4, .granularity = PerGroup{64}},
        "4-bit floats of bitsandbytes"}}};
  return rows;
}

std::span<const SchemeInfo> mxfp4_schemes() {
  static const std::array<SchemeInfo, 1> rows{{{"mxfp4",
                                                {.codec = "mxfp4",
                                                 .element = DType::UInt8,
                                                 .bits = 4,
                                                 .granularity = PerGroup{32},
                                                 .scale_dtype = DType::Float8E8M0FNU},
                                                "4-bit floats (E2M1), a power of two for 32 weights"}}};
  return rows;
}

void check(const QuantSpec& spec) {
  if (spec.element != DType::UInt8 || spec.bits != 4) {
    throw Error({.code = ErrorCode::Usage,
                 .message = spec.codec + " codes of this kind do not exist",
                 .expected = "4 bits in bytes",
                 .found = std::to_string(spec.bits) + " bits of " + std::string(to_string(spec.element))});
  }
  const bool either_sign = spec.codec == "nf4" && spec.range == RangeKind::Signed;
  if (spec.mapping != Mapping::Symmetric || (spec.range != RangeKind::Narrow && !either_sign)) {
    throw Error(ErrorCode::Usage, spec.codec + " has one mapping and one range");
  }
  const DType scales = scale_dtype_of(spec);
  const bool is_power = spec.codec == "mxfp4";
  if (is_power && scales != DType::Float8E8M0FNU) refuse_scale_dtype(scales, "f8_e8m0");
  if (!is_power) check_scaled(spec);
  if (spec.double_quant) check_double_quant(spec);
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  const MatrixShape& matrix = request.layout.matrix;
  const bool packed = request.form == CodeForm::Packed;
  std::vector<PartInfo> list{
      {"codes", DType::UInt8, matrix.rows, packed ? packed_row_bytes(matrix.cols, 4) : matrix.cols}};
  if (request.spec.double_quant) {
    add_nested_parts(request, list);
  } else {
    add_scale_parts(request, list);
  }
  return list;
}

bool searches(const CodecRequest& request) {
  return is_search(request.search.effort) &&
         (request.spec.double_quant ? !request.two_pass : !scaled_observes(request));
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const auto* const nested = dynamic_cast<const NestedState*>(&base);
  const ScaledState& state = nested ? nested->scaled() : static_cast<const ScaledState&>(base);
  const LevelFormat& format = *level_format(state.request().spec);
  const bool packed = state.request().form == CodeForm::Packed;
  const auto numel = static_cast<std::size_t>(tile.rows * tile.cols);
  auto* const stored = reinterpret_cast<std::uint8_t*>(spans[0].data());
  std::vector<std::uint8_t> loose(packed ? numel : 0);
  std::uint8_t* const codes = packed ? loose.data() : stored;
  EncodeCounts counts =
      state.encode(tile, x, spans, true, [&](const Strip& strip, const float* in, const StripParams& params) {
        active_table().quantize_levels(format.levels, in, static_cast<std::size_t>(strip.runs),
                                       static_cast<std::size_t>(strip.run), params.scale.data(), codes + strip.offset);
      });
  if (format.stored != in_order()) {
    std::transform(codes, codes + numel, codes, [&](std::uint8_t code) { return format.stored[code]; });
  }
  if (packed) pack_nibble_rows(codes, tile, stored);
  // The first pass has counted what is not finite.
  if (nested) counts = {};
  return counts;
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const LevelFormat& format = *level_format(request.spec);
  std::vector<std::uint8_t> loose;
  const std::uint8_t* codes = nibble_rows(request.form, tile, spans[0], loose);
  if (format.stored != in_order()) {
    std::array<std::uint8_t, 16> code_of{};
    for (std::uint8_t code = 0; code < 16; ++code) code_of[format.stored[code]] = code;
    const std::uint8_t* const stored = codes;
    loose.resize(static_cast<std::size_t>(tile.rows * tile.cols));
    std::transform(stored, stored + loose.size(), loose.begin(), [&](std::uint8_t code) { return code_of[code & 15]; });
    codes = loose.data();
  }
  StripParams params;
  for_each_strip(request.layout, tile, true, [&](const Strip& strip) {
    if (request.spec.double_quant) {
      load_nested_scales(request, tile, strip, spans, params.scale.data());
    } else {
      load_params(request, tile, strip, spans, params);
    }
    active_table().dequantize_levels(format.levels, codes + strip.offset, static_cast<std::size_t>(strip.runs),
                                     static_cast<std::size_t>(strip.run), params.scale.data(), y + strip.offset);
  });
}

constexpr Codec make_codec(std::string_view name, std::span<const SchemeInfo> (*schemes)(), CodecOptions options) {
  options.granularity = true;
  return with_scales({
      .name = name,
      .options = options,
      .schemes = schemes,
      .check = check,
      .parts = parts,
      .searches = searches,
      .encode = encode,
      .decode = decode,
  });
}

}  // namespace

void pack_nibble_rows(const std::uint8_t* codes, const Tile& tile, std::uint8_t* packed) {
  const auto cols = static_cast<std::size_t>(tile.cols);
  const auto row_bytes = static_cast<std::size_t>(packed_row_bytes(tile.cols, 4));
  for (std::size_t r = 0; r < static_cast<std::size_t>(tile.rows); ++r) {
    pack_bits({codes + r * cols, cols}, tile.cols, 4, {packed + r * row_bytes, row_bytes});
  }
}

const std::uint8_t* nibble_rows(CodeForm form, const Tile& tile, std::span<const std::byte> stored,
                                std::vector<std::uint8_t>& loose) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(stored.data());
  if (form == CodeForm::Bytes) return bytes;
  const auto cols = static_cast<std::size_t>(tile.cols);
  const auto row_bytes = static_cast<std::size_t>(packed_row_bytes(tile.cols, 4));
  loose.resize(static_cast<std::size_t>(tile.rows) * cols);
  for (std::size_t r = 0; r < static_cast<std::size_t>(tile.rows); ++r) {
    unpack_bits({bytes + r * row_bytes, row_bytes}, tile.cols, 4, {loose.data() + r * cols, cols});
  }
  return loose.data();
}

const LevelFormat* level_format(const QuantSpec& spec) noexcept {
  const auto found = std::ranges::find(kFormats, spec.codec, &LevelFormat::name);
  return found == kFormats.end() ? nullptr : &*found;
}

constinit const Codec kNf4 =
    with_nested_scales(make_codec("nf4", nf4_schemes, {.either_sign = true, .double_quant = true}));
constinit const Codec kFp4 = with_nested_scales(make_codec("fp4", fp4_schemes, {.double_quant = true}));
constinit const Codec kMxfp4 = make_codec("mxfp4", mxfp4_schemes, {});

}  // namespace mq
