// An encoding: rows of floats to named parts and back. It knows no tensor name, no container, no dialect.
// One encoding per file; each ends in one `const Codec`. registry.cpp lists them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "mq/dtype.hpp"
#include "mq/metrics.hpp"
#include "mq/observer.hpp"
#include "mq/quant_spec.hpp"
#include "mq/quantize.hpp"
#include "mq/search.hpp"
#include "src/block_layout.hpp"

namespace mq {

// How the codes part is laid out; the dialect asks for the form it stores.
enum class CodeForm {
  Bytes,   // one code per byte (or one float of the target type), rows adjacent
  Packed,  // integer codes as mq/pack.hpp's bit stream of code - qmin (unsigned), each row whole 32-bit words
};

// What is encoded, fixed for a tensor.
struct CodecRequest {
  QuantSpec spec;  // an empty scale_dtype means Float32
  BlockLayout layout;
  CodeForm form = CodeForm::Bytes;
  bool allow_nonfinite = false;  // encode NaN and infinities as finite_values() makes them (src/nonfinite.hpp)
  SearchOptions search = {.effort = Effort::Fast};  // where searches()
  std::optional<Range> range = {};  // of all values that share what follows from the whole tensor, where it is known
  bool two_pass = false;  // observe first even where one pass would do: the rows are too long to be held whole
};

// One named part as a matrix of bytes.
struct PartInfo {
  std::string_view name;       // "codes", "scale", "zero_point"
  DType dtype = DType::UInt8;  // of the elements; UInt8 for packed codes
  std::int64_t rows = 0;
  std::int64_t row_bytes = 0;
  // Whether encode() gives the rows of this part that belong to the tile (one part row per matrix row). Otherwise the
  // part belongs to the whole tensor and finish() gives it.
  bool tiled = true;
};

// Where encode() and decode() find the parts of a tile: in the order of parts(); rows adjacent. Parts that are not
// tiled are given whole to decode() and are empty for encode().
using PartSpans = std::span<const std::span<std::byte>>;
using ConstPartSpans = std::span<const std::span<const std::byte>>;

// Private state of one tensor's encoding. Const calls may come from many threads.
class CodecState {
 public:
  virtual ~CodecState() = default;
};

// Over all calls for a tensor: each value and each scale counts once, however the tensor is cut into tiles.
struct EncodeCounts {
  std::int64_t nonfinite = 0;  // NaN and infinite inputs; counted by observe() if that was called, else by encode()
  std::int64_t overflow = 0;   // finite inputs, or scales, that the type they are stored in would make infinite

  void add(const EncodeCounts& other) noexcept {
    nonfinite += other.nonfinite;
    overflow += other.overflow;
  }
};

// Which of the text form's options an encoding has.
struct CodecOptions {
  bool granularity = false;  // tensor, channel, gN, bRxC
  bool groups_only = false;  // of those, gN
  bool rows_only = false;    // of those, channel and gN: scales that belong to one row
  bool mapping = false;      // sym with narrow, full or signed; asym
  bool activation = false;
  bool either_sign = false;   // signed: scales that may be negative, without a mapping to choose
  bool double_quant = false;  // dq: scales that are quantized themselves
  bool outliers = false;      // oN: columns that stay 16-bit floats
};

// An encoding that is only read has no schemes and none of the functions from state_bytes to finish: they are null.
struct Codec {
  std::string_view name;
  CodecOptions options;
  // The NAMEs of parse_spec that mean this codec, with their defaults. Texts of encodings without one name the element.
  std::span<const SchemeInfo> (*schemes)();

  // Throws: Usage for values that this encoding does not have.
  void (*check)(const QuantSpec& spec);

  // Throws: Usage for a form that this encoding does not have.
  std::vector<PartInfo> (*parts)(const CodecRequest& request);
  // Memory of begin()'s state beyond a few hundred bytes.
  std::int64_t (*state_bytes)(const CodecRequest& request) = nullptr;
  bool (*observes)(const CodecRequest& request) = nullptr;  // whether a first pass over the data is needed

  // Whether there is a foreign encoder to follow bit for bit: Effort::Reference.
  bool has_reference = false;
  // Whether encode() then looks for better parameters than those of the ranges, as the effort asks; else null or false.
  bool (*searches)(const CodecRequest& request) = nullptr;

  // given: parameters to use instead of those of the data (then observes() does not matter), or null. Scales are
  // rounded to their storage type. Throws: Usage for parameters that do not fit (their number, zero or infinite scales,
  // zero points that are no codes).
  std::unique_ptr<CodecState> (*begin)(const CodecRequest& request, const QParams* given) = nullptr;
  // First pass: any tiles that cover the matrix once, any order, any thread. Returns counts like encode().
  EncodeCounts (*observe)(CodecState& state, const Tile& tile, const float* x) = nullptr;
  // Between the passes, once.
  void (*settle)(CodecState& state) = nullptr;
  // Whether encode() can tell, at little cost, how far the codes are from x; else null or false.
  bool (*measures)(const CodecRequest& request) = nullptr;
  // x is the tile's rows, adjacent. A tile may be part of a row only if two_pass, observes() or parameters were given;
  // its first column is then a multiple of 32, and of 32 its width too unless it ends the row; of block types both are
  // multiples of the block. Values that are not
  // finite are counted, their codes unspecified unless allow_nonfinite. error: null, or, if measures(), what measure()
  // would say of x and the decoded codes is added to it, row by row; the tile then has whole rows.
  EncodeCounts (*encode)(const CodecState& state, const Tile& tile, const float* x, PartSpans parts,
                         ErrorStats* error) = nullptr;
  // The same of whole rows of 16-bit floats, at an even address, where measures() and not searches(): what encode()
  // does of them widened. Null if there is no such form.
  EncodeCounts (*encode_halves)(const CodecState& state, const Tile& tile, kernels::Halves x, PartSpans parts,
                                ErrorStats& error) = nullptr;
  // After the last encode: the parts that are not tiled, in the order of parts() (tiled ones empty).
  void (*finish)(const CodecState& state, PartSpans parts) = nullptr;

  // Values of any tile: of the codes the tile's bytes, of other tiled parts the tile's rows at full width, other parts
  // whole. Tiled or not follows from parts(request). A tile of packed codes has columns as encode() asks for, one of
  // block types begins and ends on a block.
  void (*decode)(const CodecRequest& request, const Tile& tile, ConstPartSpans parts, float* y);
};

// Bytes of the codes of `cols` elements, counted from the start of a row or from a column that is a multiple of 32; so
// it is also where such a column begins.
std::int64_t code_bytes(const CodecRequest& request, std::int64_t cols);

std::span<const Codec* const> all_codecs() noexcept;

// The encoding of a type whose blocks hold codes and scales together (mq/dtype.hpp). Empty for types that are none and
// for those that are not decoded.
std::optional<QuantSpec> block_spec(DType dtype);

// Throws: Unsupported, naming the tensor and the block types that are decoded, if it is of another one.
void require_decodable(const TensorInfo& tensor);

// Throws: Usage, naming the schemes there are, for an encoding that is only read.
void require_encoder(const QuantSpec& spec);

// Throws: Usage naming the tensor if this effort does not exist for the encoding.
void require_effort(const QuantSpec& spec, Effort effort, std::string_view tensor_name);

// Throws: Internal if unknown.
const Codec& codec_of(const QuantSpec& spec);

// Throws: Numeric saying what cannot be encoded, unless the counts are zero.
void require_encodable(const EncodeCounts& counts, const QuantSpec& spec, std::string_view tensor_name);

}  // namespace mq
