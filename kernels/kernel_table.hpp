// The kernel table: one function pointer per operation, one table per instruction set.
//
// Every operation sees contiguous memory as `rows` runs of `run` elements; a scale or a zero point belongs to a run.
// Which granularity produced the runs is the caller's business. Kernels are noexcept, never allocate, never thread,
// accept any alignment and any length (0 too), and give the same bits as the reference table on every input they allow
// (but for the payload of a NaN in ErrorSums). An output never overlaps an input. The caller runs them with rounding to
// nearest even and without flushing subnormals.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mq::kernels {

// Smallest and largest finite value of a run (both +0 if there is none, as in an empty run; -0 is reported as +0).
struct Range {
  float lo;
  float hi;
  std::uint64_t nonfinite;  // elements that are NaN or infinite; they do not take part in lo and hi
};

// Sums that describe how far y is from x. The order of additions is part of the contract: blocks of 1024 elements; in a
// block lane i of 16 adds the squares of elements i, i+16, ... in order, each with one rounding (fused), in float; the
// lanes are added by the tree (l0+l8)+(l4+l12)..., halving the distance; blocks are added in order in double.
struct ErrorSums {
  double error_sq;  // sum (x-y)^2
  double x_sq;      // sum x^2
  double y_sq;      // sum y^2
  float max_error;  // max |x-y|; a NaN difference does not take part, it shows in the sums
};

// Floats of 16 bits.
struct Halves {
  const std::uint16_t* data;
  bool brain;  // bfloat16, else binary16

  Halves operator+(std::ptrdiff_t elements) const noexcept { return {data + elements, brain}; }
};

static_assert(sizeof(Range) == 16, "vector code stores ranges as four floats");

// Affine parameters of runs: element i of the input belongs to run i / run.
struct AffineRuns {
  const float* inv_scale;
  const float* scale;
  const float* zero_point;
  float qmin;
  float qmax;
};

// Values that codes of up to 4 bits stand for, when scaled. Code i is level i; with sign_magnitude there are 8 levels,
// not negative, and bit 3 is the sign. A quotient x / scale (or its magnitude) gets the level after middle[i] if it is
// above middle[i]. After the last level all is zero, after the last middle infinite.
struct Levels {
  float value[16];
  float middle[15];
  bool sign_magnitude;
};

// How to search for the parameters of codes (kernels/search.hpp).
struct AffineSearch {
  const Levels* levels;  // what codes stand for; null: whole numbers
  float code_min;        // of what they stand for
  float code_max;
  float zero_point;      // of every block, unless own_zero_points
  bool own_zero_points;  // each block finds its own, a code
  bool either_sign;      // scales may be negative, and are where that gives the extreme the longer side of the codes
  bool both_signs;       // try the other sign too
  // Inverse scales to try: equal steps from shrink times the largest that clips nothing to grow times it, or to where
  // what is beyond crest times the root mean square clips, whichever is farther.
  float shrink;
  float grow;
  float crest;
  std::uint32_t candidates;  // 2..kMaxSearchCandidates
  std::uint32_t refinements;
};
constexpr std::uint32_t kMaxSearchCandidates = 32;

// How to search for a scale and a least value, y = scale * q + min with q in 0..code_max (kernels/search_min.hpp).
struct MinSearch {
  float code_max;
  bool min_below_zero;  // min may not be positive
  // Inverse scales to try: equal steps from shrink times the one that clips nothing to grow times it.
  float shrink;
  float grow;
  std::uint32_t candidates;  // at least 2
  std::uint32_t refinements;
};

// Parameters to choose from: candidate i * mins + j of run r has scale[i * rows + r] and min[j * rows + r], and codes q
// for clamp(rne((x - min) / scale)) or the nearest level, each standing for scale * q + min.
struct Candidates {
  const Levels* levels;  // what codes stand for; null: whole numbers from code_min to code_max
  const float* scale;
  const float* min;  // null: 0
  std::size_t scales;
  std::size_t mins;  // scales * mins is at least 1, at most kMaxCandidates
  float code_min;
  float code_max;
};
constexpr std::size_t kMaxCandidates = 32;

// Sums over a run, w being the weights (or 1) and q what its codes stand for.
struct CodeSums {
  float w, wx, wxx, wq, wqq, wqx;
};
// What was chosen for each run: candidate scale * mins + min.
struct Chosen {
  std::uint8_t* scale;
  std::uint8_t* min;
  float* error;  // (weighted) squared
  CodeSums* sums;
};
constexpr std::size_t kMaxMinRun = 256;

// Blocks to search: `rows` runs of `run` elements.
struct SearchBlocks {
  const float* x;        // elements that are not finite count as 0
  const float* weights;  // of the squared errors, one for each element of x; finite, not negative; or null: all alike
  std::size_t rows;
  std::size_t run;
  const Range* ranges;  // of the runs; for search_affine only
};

struct KernelTable {
  const char* name;                 // "reference", "avx2", "avx512bw", "neon"
  std::uint32_t required_features;  // bits of cpu_features.hpp

  // out[r] describes x[r*run .. r*run+run).
  void (*range)(const float* x, std::size_t rows, std::size_t run, Range* out) noexcept;

  // q = int(clamp(rne(x * inv_scale) + zero_point, qmin, qmax)), all in float, no fma; the low byte is stored.
  // zero_point, qmin and qmax are integers held in float, |value| <= 2^20. x must be finite.
  void (*quantize_8)(const float* x, std::size_t rows, std::size_t run, const float* inv_scale, const float* zero_point,
                     float qmin, float qmax, std::uint8_t* q) noexcept;
  // The same codes, 4 bits each, as one stream over all runs: element 2i of rows*run in the low nibble of byte i; an
  // odd last element leaves a zero high nibble. qmin >= 0, qmax <= 15: signed codes are biased by the caller through
  // zero_point.
  void (*quantize_4)(const float* x, std::size_t rows, std::size_t run, const float* inv_scale, const float* zero_point,
                     float qmin, float qmax, std::uint8_t* packed) noexcept;

  // quantize_8 and quantize_4, and what error_sums says of x and the decoded codes, (q - zero_point) * scale, added to
  // *sums block by block from the first element on. run is 16, 32 or a multiple of 64, rows * run a multiple of 64.
  void (*quantize_8_measured)(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                              std::uint8_t* q, ErrorSums* sums) noexcept;
  void (*quantize_4_measured)(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                              std::uint8_t* packed, ErrorSums* sums) noexcept;

  // The same of floats of 16 bits, as if they were widened first.
  void (*range_halves)(Halves x, std::size_t rows, std::size_t run, Range* out) noexcept;
  void (*quantize_8_halves)(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* q,
                            ErrorSums* sums) noexcept;
  void (*quantize_4_halves)(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* packed,
                            ErrorSums* sums) noexcept;

  // The scale and the zero point of each run that leave the least (weighted) squared error, as far as the search sees;
  // scale 0 for runs that are all zero or weigh nothing. Scales are not rounded to any type.
  void (*search_affine)(const AffineSearch& how, const SearchBlocks& blocks, float* scale, float* zero_point) noexcept;
  // Of `count` scales for each run, positive and finite, scales[i * rows + r], the index of the first that leaves the
  // least (weighted) squared error with codes of these levels.
  void (*choose_scale)(const Levels& levels, const SearchBlocks& blocks, const float* scales, std::size_t count,
                       std::uint8_t* best) noexcept;

  // As search_affine, for a scale and a least value. run is at most kMaxMinRun.
  void (*search_min)(const MinSearch& how, const SearchBlocks& blocks, float* scale, float* min) noexcept;
  // The candidate with the least error; of equal ones the one in the middle, or the first. run is at most kMaxMinRun.
  void (*choose_candidate)(const Candidates& from, const SearchBlocks& blocks, const Chosen& chosen) noexcept;

  // y = (q - zero_point) * scale.
  void (*dequantize_i8)(const std::int8_t* q, std::size_t rows, std::size_t run, const float* scale,
                        const float* zero_point, float* y) noexcept;
  void (*dequantize_u8)(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                        const float* zero_point, float* y) noexcept;
  // The stream of quantize_4, nibbles unsigned.
  void (*dequantize_4)(const std::uint8_t* packed, std::size_t rows, std::size_t run, const float* scale,
                       const float* zero_point, float* y) noexcept;

  // fp8 codes of clamp(x / scale, -max, max), round to nearest even; max is 448 (E4M3FN) or 57344 (E5M2). NaN gives
  // NaN.
  void (*quantize_e4m3)(const float* x, std::size_t rows, std::size_t run, const float* scale,
                        std::uint8_t* q) noexcept;
  void (*quantize_e5m2)(const float* x, std::size_t rows, std::size_t run, const float* scale,
                        std::uint8_t* q) noexcept;
  // y = value(q) * scale, NaN for a NaN code.
  void (*dequantize_e4m3)(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                          float* y) noexcept;
  void (*dequantize_e5m2)(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                          float* y) noexcept;

  // Codes of levels, one per byte: of x / scale. x must be finite.
  void (*quantize_levels)(const Levels& levels, const float* x, std::size_t rows, std::size_t run, const float* scale,
                          std::uint8_t* q) noexcept;
  // y = value(q) * scale, of the low 4 bits of q.
  void (*dequantize_levels)(const Levels& levels, const std::uint8_t* q, std::size_t rows, std::size_t run,
                            const float* scale, float* y) noexcept;

  // Conversions of n elements. To float: exact. From float: round to nearest even; f16 and bf16 overflow to infinity
  // as PyTorch's casts do; e4m3 and e5m2 saturate finite values and infinities to the largest finite one.
  // NaN becomes the quiet NaN that PyTorch writes: f16 keeps the sign and the top payload bits with the quiet bit set,
  // bf16 0x7fc0, e4m3 0x7f with the sign, e5m2 0x7f with the sign. A NaN widens with its sign and
  // payload; that of f16 and e5m2 becomes quiet.
  void (*f16_to_f32)(const std::uint16_t* x, std::size_t n, float* y) noexcept;
  void (*bf16_to_f32)(const std::uint16_t* x, std::size_t n, float* y) noexcept;
  void (*e4m3_to_f32)(const std::uint8_t* x, std::size_t n, float* y) noexcept;
  void (*e5m2_to_f32)(const std::uint8_t* x, std::size_t n, float* y) noexcept;
  void (*f32_to_f16)(const float* x, std::size_t n, std::uint16_t* y) noexcept;
  void (*f32_to_bf16)(const float* x, std::size_t n, std::uint16_t* y) noexcept;
  void (*f32_to_e4m3)(const float* x, std::size_t n, std::uint8_t* y) noexcept;
  void (*f32_to_e5m2)(const float* x, std::size_t n, std::uint8_t* y) noexcept;

  // codes: one per byte, the low 4 bits count; packed: element 2i in the low nibble of byte i; n counts elements.
  void (*pack_4)(const std::uint8_t* codes, std::size_t n, std::uint8_t* packed) noexcept;
  void (*unpack_4)(const std::uint8_t* packed, std::size_t n, std::uint8_t* codes) noexcept;

  void (*error_sums)(const float* x, const float* y, std::size_t n, ErrorSums* out) noexcept;

  // CRC-32 of the zip format (reflected 0xEDB88320), continued from crc (0 to begin).
  std::uint32_t (*crc32)(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) noexcept;

  // XXH3-128 without a seed, in its canonical form: 16 bytes, big-endian.
  void (*xxh3_128)(const std::uint8_t* bytes, std::size_t n, std::uint8_t* digest) noexcept;
};

}  // namespace mq::kernels
