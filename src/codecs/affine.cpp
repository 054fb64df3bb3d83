// Integers of 2 to 8 bits with a scale, and in asymmetric mappings a zero point, for every block:
//
//   q = int(clamp(rne(x * (1/s)) + z, qmin, qmax))        y = (q - z) * s
//
// All granularities take this one path: a tile is walked as strips of equally long runs, and every run has its s and z.
// Codes are stored one per byte, or packed as q - qmin, unsigned. The bias goes into z and into the clamp before the
// kernel sees them, so that nothing is added afterwards; both are whole numbers, so the codes are the same.
//
//   Packed, 4 bits: element 2k of a row in the low nibble of byte k    8 bits: one byte per element
//   other widths: a little-endian bit stream (mq/pack.hpp); rows are padded to whole 32-bit words with zero bits
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "mq/pack.hpp"
#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/scaled.hpp"
#include "src/error_sums.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

std::span<const SchemeInfo> list_schemes() {
  static const std::vector<SchemeInfo> kList = [] {
    struct Row {
      std::string_view name, unsigned_name, description, unsigned_description;
    };
    constexpr std::array<Row, 7> kRows{{
        {"int2", "uint2", "signed integers of 2 bits", "unsigned integers of 2 bits"},
        {"int3", "uint3", "signed integers of 3 bits", "unsigned integers of 3 bits"},
        {"int4", "uint4", "signed integers of 4 bits", "unsigned integers of 4 bits"},
        {"int5", "uint5", "signed integers of 5 bits", "unsigned integers of 5 bits"},
        {"int6", "uint6", "signed integers of 6 bits", "unsigned integers of 6 bits"},
        {"int7", "uint7", "signed integers of 7 bits", "unsigned integers of 7 bits"},
        {"int8", "uint8", "signed integers of 8 bits", "unsigned integers of 8 bits"},
    }};
    std::vector<SchemeInfo> list;
    for (const bool is_signed : {true, false}) {
      for (int bits = 8; bits >= 2; --bits) {
        const Row& row = kRows[static_cast<std::size_t>(bits - 2)];
        QuantSpec spec{.codec = "affine", .element = is_signed ? DType::Int8 : DType::UInt8, .bits = bits};
        if (bits <= 4) {
          spec.granularity = PerGroup{128};
          spec.range = RangeKind::Full;
        }
        list.push_back(
            {is_signed ? row.name : row.unsigned_name, spec, is_signed ? row.description : row.unsigned_description});
      }
    }
    return list;
  }();
  return kList;
}

void check(const QuantSpec& spec) {
  const bool element = spec.element == DType::Int8 || spec.element == DType::UInt8;
  if (!element || spec.bits < 2 || spec.bits > 8) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "affine codes of this kind do not exist",
                 .expected = "int8 or uint8 elements of 2 to 8 bits",
                 .found = std::to_string(spec.bits) + " bits of " + std::string(to_string(spec.element))});
  }
  if (spec.mapping == Mapping::Asymmetric && spec.range != RangeKind::Narrow) {
    throw Error(ErrorCode::Usage, "the ranges full and signed belong to symmetric mappings");
  }
  check_scaled(spec);
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  const MatrixShape& matrix = request.layout.matrix;
  std::vector<PartInfo> list;
  if (request.form == CodeForm::Bytes) {
    list.push_back({"codes", request.spec.element, matrix.rows, matrix.cols});
  } else {
    list.push_back({"codes", DType::UInt8, matrix.rows, packed_row_bytes(matrix.cols, request.spec.bits)});
  }
  add_scale_parts(request, list);
  return list;
}

// How the codes of a tile lie in memory.
struct CodePlan {
  enum class Kind { Bytes, Nibbles, Stream };
  Kind kind = Kind::Bytes;
  bool across_rows = true;      // rows follow each other without padding
  float bias = 0;               // stored code = q + bias
  std::int64_t row_bytes = 0;   // of a row of the tile
  std::int64_t used_bytes = 0;  // the rest of the row is padding

  CodePlan(const CodecRequest& request, const Tile& tile) : row_bytes(tile.cols), used_bytes(tile.cols) {
    if (request.form == CodeForm::Bytes) return;
    const int bits = request.spec.bits;
    const BlockLayout& layout = request.layout;
    bias = -static_cast<float>(request.spec.qmin());
    row_bytes = packed_row_bytes(tile.cols, bits);
    used_bytes = (tile.cols * bits + 7) / 8;
    across_rows = row_bytes * 8 == tile.cols * bits;
    if (bits == 8) return;
    // Runs of odd length put the next one in the middle of a byte.
    const bool whole_bytes = layout.run % 2 == 0 || layout.run >= layout.matrix.cols;
    kind = bits == 4 && whole_bytes ? Kind::Nibbles : Kind::Stream;
    across_rows = across_rows && kind == Kind::Nibbles;
  }

  // Where the codes of a strip begin; of a row for streams.
  std::int64_t offset(const Tile& tile, const Strip& strip) const {
    return (strip.row - tile.row) * row_bytes + bytes(strip.col - tile.col);
  }

  // Of so many codes; none in streams.
  std::int64_t bytes(std::int64_t numel) const {
    return kind == Kind::Bytes ? numel : kind == Kind::Nibbles ? numel / 2 : 0;
  }
};

// A row's codes, one per byte, for widths that no kernel packs.
std::uint8_t* row_scratch(std::int64_t cols) {
  thread_local std::vector<std::uint8_t> scratch;
  if (scratch.size() < static_cast<std::size_t>(cols)) scratch.resize(static_cast<std::size_t>(cols));
  return scratch.data();
}

bool ends_row(const Tile& tile, const Strip& strip) {
  return strip.col + strip.runs * strip.run == tile.col + tile.cols;
}

// Scales that follow from each run by itself can be searched for.
bool searches(const CodecRequest& request) {
  if (!is_search(request.search.effort) || scaled_observes(request)) return false;
  return request.search.effort == Effort::Max || gains_by_search(request.spec, request.layout.run);
}

// The measuring kernels take 16, 32 or a multiple of 64 elements of one run, and sum over blocks of 1024 that begin
// with the row: runs must be rows, or divide such a block.
bool measures(const CodecRequest& request) {
  const BlockLayout& layout = request.layout;
  const bool whole_codes = request.form == CodeForm::Bytes || request.spec.bits == 4 || request.spec.bits == 8;
  const bool runs_fit = layout.run == layout.matrix.cols || (layout.run >= 16 && 1024 % layout.run == 0);
  return whole_codes && runs_fit && layout.matrix.cols % 64 == 0;
}

// What the kernels take: 1/s, and z with the bias.
struct KernelParams {
  std::array<float, kStripRuns> inverse;

  const float* prepare(StripParams& params, std::int64_t runs, float bias) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(runs); ++i) {
      inverse[i] = 1.0f / params.scale[i];
      params.zero_point[i] += bias;
    }
    return inverse.data();
  }
};

// Takes a strip row by row through a measuring kernel. Sums of a row go on from strip to strip.
class RowErrors {
 public:
  RowErrors(const Tile& tile, ErrorStats& total) : tile_(tile), total_(total) {}

  // encode(first run, runs, its first element in the strip, sums)
  template <class Encode>
  void add(const Strip& strip, Encode&& encode) {
    const std::int64_t end = tile_.col + tile_.cols;
    std::int64_t col = strip.col;
    for (std::int64_t run = 0; run < strip.runs;) {
      const std::int64_t runs = std::min(strip.runs - run, (end - col) / strip.run);
      encode(static_cast<std::size_t>(run), static_cast<std::size_t>(runs), run * strip.run, sums_);
      run += runs;
      col += runs * strip.run;
      if (col != end) continue;
      col = tile_.col;
      total_.add(error_stats(std::exchange(sums_, {}), tile_.cols));
    }
  }

 private:
  const Tile& tile_;
  ErrorStats& total_;
  kernels::ErrorSums sums_ = {};
};

auto measuring_kernel(const CodePlan& plan, const float*) {
  const kernels::KernelTable& k = active_table();
  return plan.kind == CodePlan::Kind::Nibbles ? k.quantize_4_measured : k.quantize_8_measured;
}
auto measuring_kernel(const CodePlan& plan, kernels::Halves) {
  const kernels::KernelTable& k = active_table();
  return plan.kind == CodePlan::Kind::Nibbles ? k.quantize_4_halves : k.quantize_8_halves;
}

template <class X>
EncodeCounts encode_measured(const ScaledState& state, const Tile& tile, X x, PartSpans spans, ErrorStats& error) {
  const CodePlan plan(state.request(), tile);
  const auto quantize = measuring_kernel(plan, x);
  auto* const codes = reinterpret_cast<std::uint8_t*>(spans[0].data());
  const float least = state.rule().code_min() + plan.bias, most = state.rule().code_max() + plan.bias;
  KernelParams kernel;
  RowErrors rows(tile, error);
  // A strip that ends inside a row ends on a block.
  const BlockLayout& layout = state.request().layout;
  const bool across_rows = layout.run == layout.matrix.cols || layout.matrix.cols % 1024 == 0;

  return state.encode(tile, x, spans, across_rows, [&](const Strip& strip, X in, StripParams& params) {
    const float* const inverse = kernel.prepare(params, strip.runs, plan.bias);
    std::uint8_t* const out = codes + plan.offset(tile, strip);
    rows.add(strip, [&](std::size_t run, std::size_t runs, std::int64_t first, kernels::ErrorSums& sums) {
      quantize(in + first, runs, static_cast<std::size_t>(strip.run),
               {.inv_scale = inverse + run,
                .scale = params.scale.data() + run,
                .zero_point = params.zero_point.data() + run,
                .qmin = least,
                .qmax = most},
               out + plan.bytes(first), &sums);
    });
  });
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats* error) {
  const auto& state = static_cast<const ScaledState&>(base);
  if (error != nullptr) return encode_measured(state, tile, x, spans, *error);
  const CodePlan plan(state.request(), tile);
  const kernels::KernelTable& k = active_table();
  const float least = state.rule().code_min() + plan.bias, most = state.rule().code_max() + plan.bias;
  auto* const codes = reinterpret_cast<std::uint8_t*>(spans[0].data());
  std::uint8_t* const row = plan.kind == CodePlan::Kind::Stream ? row_scratch(tile.cols) : nullptr;
  const auto row_bytes = static_cast<std::size_t>(plan.row_bytes);
  KernelParams kernel;

  return state.encode(tile, x, spans, plan.across_rows, [&](const Strip& strip, const float* in, StripParams& params) {
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    const float* const inverse = kernel.prepare(params, strip.runs, plan.bias);
    std::uint8_t* out = codes + plan.offset(tile, strip);
    const auto quantize = plan.kind == CodePlan::Kind::Nibbles ? k.quantize_4 : k.quantize_8;
    quantize(in, runs, run, inverse, params.zero_point.data(), least, most,
             row != nullptr ? row + (strip.col - tile.col) : out);
    if (plan.across_rows || !ends_row(tile, strip)) return;
    if (row != nullptr) {
      pack_bits({row, static_cast<std::size_t>(tile.cols)}, tile.cols, state.request().spec.bits, {out, row_bytes});
    } else {
      std::memset(codes + (strip.row - tile.row) * plan.row_bytes + plan.used_bytes, 0,
                  static_cast<std::size_t>(plan.row_bytes - plan.used_bytes));
    }
  });
}

EncodeCounts encode_halves(const CodecState& base, const Tile& tile, kernels::Halves x, PartSpans spans,
                           ErrorStats& error) {
  return encode_measured(static_cast<const ScaledState&>(base), tile, x, spans, error);
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const CodePlan plan(request, tile);
  const kernels::KernelTable& k = active_table();
  const auto* const codes = reinterpret_cast<const std::uint8_t*>(spans[0].data());
  std::uint8_t* const row = plan.kind == CodePlan::Kind::Stream ? row_scratch(tile.cols) : nullptr;
  const bool is_signed = request.form == CodeForm::Bytes && request.spec.element == DType::Int8;
  StripParams params;

  for_each_strip(request.layout, tile, plan.across_rows, [&](const Strip& strip) {
    const auto runs = static_cast<std::size_t>(strip.runs), run = static_cast<std::size_t>(strip.run);
    load_params(request, tile, strip, spans, params);
    for (std::size_t i = 0; i < runs; ++i) params.zero_point[i] += plan.bias;
    const std::uint8_t* in = codes + plan.offset(tile, strip);
    if (row != nullptr) {
      const auto row_bytes = static_cast<std::size_t>(plan.row_bytes);
      if (strip.col == tile.col) {
        unpack_bits({in, row_bytes}, tile.cols, request.spec.bits, {row, static_cast<std::size_t>(tile.cols)});
      }
      in = row + (strip.col - tile.col);
    }
    float* const out = y + strip.offset;
    if (plan.kind == CodePlan::Kind::Nibbles) {
      k.dequantize_4(in, runs, run, params.scale.data(), params.zero_point.data(), out);
    } else if (is_signed) {
      k.dequantize_i8(reinterpret_cast<const std::int8_t*>(in), runs, run, params.scale.data(),
                      params.zero_point.data(), out);
    } else {
      k.dequantize_u8(in, runs, run, params.scale.data(), params.zero_point.data(), out);
    }
  });
}

}  // namespace

constinit const Codec kAffine = with_scales({
    .name = "affine",
    .options = {.granularity = true, .mapping = true, .activation = true},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .searches = searches,
    .measures = measures,
    .encode = encode,
    .encode_halves = encode_halves,
    .decode = decode,
});

}  // namespace mq
