// The block types of ggml as one encoding: a block of consecutive weights of a row holds their codes and all that is
// needed to decode them. One part, "codes", whose elements are blocks; nothing belongs to the whole tensor, and every
// block is made by itself.
#include "src/codecs/gguf.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/codecs/gguf_encode.hpp"
#include "src/norm_search.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

template <class Row, std::size_t N>
const Row* find(const std::array<Row, N>& family, DType dtype) noexcept {
  for (const Row& row : family) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

const gguf::BlockCoder* coder_of(DType dtype) noexcept {
  if (const auto* coder = find(gguf::kLegacy, dtype)) return coder;
  if (const auto* coder = find(gguf::kSuper, dtype)) return coder;
  if (const auto* coder = find(gguf::kNonlinear, dtype)) return coder;
  return find(gguf::kFloat4, dtype);
}

const gguf::BlockEncoder* encoder_of(DType dtype) noexcept {
  if (const auto* encoder = find(gguf::kLegacyEncoders, dtype)) return encoder;
  if (const auto* encoder = find(gguf::kSuperEncoders, dtype)) return encoder;
  return find(gguf::kNonlinearEncoders, dtype);
}

std::span<const SchemeInfo> list_schemes() {
  static const std::vector<SchemeInfo> kList = [] {
    std::vector<SchemeInfo> list;
    const auto append = [&](const auto& family) {
      for (const gguf::BlockEncoder& encoder : family) {
        list.push_back({to_string(encoder.dtype), *block_spec(encoder.dtype), encoder.description});
      }
    };
    append(gguf::kLegacyEncoders);
    append(gguf::kSuperEncoders);
    append(gguf::kNonlinearEncoders);
    return list;
  }();
  return kList;
}

void check(const QuantSpec& spec) {
  std::optional<QuantSpec> known = block_spec(spec.element);
  if (known) known->scale_dtype = spec.scale_dtype;  // without meaning here
  if (known && *known == spec) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "blocks of this kind do not exist",
               .expected = known ? "no options" : "a block type that is decoded",
               .found = std::string(to_string(spec.element))});
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  if (request.form != CodeForm::Bytes) throw Error(ErrorCode::Usage, "blocks cannot be packed");
  const MatrixShape& matrix = request.layout.matrix;
  const std::int64_t block = info(request.spec.element).block_numel;
  if (matrix.cols % block != 0) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "a row is not whole blocks of " + std::string(to_string(request.spec.element)),
                 .expected = "rows of a multiple of " + std::to_string(block) + " weights",
                 .found = std::to_string(matrix.cols)});
  }
  return {{"codes", request.spec.element, matrix.rows, bytes_of(request.spec.element, matrix.cols)}};
}

// Nothing is known of the whole tensor.
class BlockState final : public CodecState {
 public:
  explicit BlockState(const CodecRequest& request) : request_(request) {}
  const CodecRequest& request() const noexcept { return request_; }

 private:
  CodecRequest request_;
};

bool observes(const CodecRequest& request) {
  return request.two_pass;
}

bool searches(const CodecRequest& request) {
  return is_search(request.search.effort);
}

std::unique_ptr<CodecState> begin(const CodecRequest& request, const QParams* given) {
  if (given != nullptr) throw Error(ErrorCode::Usage, "the scales of blocks cannot be given");
  return std::make_unique<BlockState>(request);
}

kernels::Range range_of(const float* x, std::int64_t n) {
  kernels::Range range;
  active_table().range(x, 1, static_cast<std::size_t>(n), &range);
  return range;
}

std::int64_t count_nonfinite(const float* x, std::int64_t n) {
  return static_cast<std::int64_t>(range_of(x, n).nonfinite);
}

// The values of whole blocks with 0 in place of NaN and the extremes of the block's finite ones in place of infinities.
// x itself where all are finite, else a copy that lies in buffer.
const float* finite_blocks(const float* x, const Strip& strip, std::vector<float>& buffer) {
  const std::int64_t n = strip.runs * strip.run;
  if (count_nonfinite(x, n) == 0) return x;
  buffer.assign(x, x + n);
  for (std::int64_t first = 0; first < n; first += strip.run) {
    const kernels::Range range = range_of(x + first, strip.run);
    if (range.nonfinite == 0) continue;
    for (auto v = buffer.begin() + first; v != buffer.begin() + first + strip.run; ++v) {
      *v = std::isnan(*v) ? 0 : std::clamp(*v, range.lo, range.hi);
    }
  }
  return buffer.data();
}

EncodeCounts observe(CodecState&, const Tile& tile, const float* x) {
  return {.nonfinite = count_nonfinite(x, tile.rows * tile.cols)};
}

// What no block can hold: values beyond the largest scale times the largest multiple and code, and blocks with a scale
// or a minimum that became infinite.
std::int64_t count_overflows(const gguf::BlockEncoder& encoder, const float* x, std::int64_t numel,
                             const std::uint8_t* blocks, std::int64_t count) {
  constexpr float kLargest = 0x1p30f;
  constexpr int kExponent = 0x7c00;
  const kernels::Range range = range_of(x, numel);
  std::int64_t found = 0;
  if (range.lo < -kLargest || range.hi > kLargest) {
    found = std::count_if(x, x + numel, [](float v) { return std::fabs(v) > kLargest; });
  }
  const std::int64_t bytes = info(encoder.dtype).block_bytes;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto overflows = [&](int at) {
      return at >= 0 && (gguf::load_u16(blocks + i * bytes + at) & kExponent) == kExponent;
    };
    found += overflows(encoder.halves[0]) || overflows(encoder.halves[1]);
  }
  return found;
}

void search(const CodecRequest& request, const gguf::BlockEncoder& encoder, gguf::SearchedBlocks in,
            std::uint8_t* blocks) {
  const Objective& objective = request.search.objective;
  if (objective.kind != Objective::Kind::Norm) return encoder.search(in, blocks);
  const DTypeInfo& type = info(encoder.dtype);
  const auto count = static_cast<std::size_t>(in.count), run = static_cast<std::size_t>(type.block_numel);
  const auto bytes = static_cast<std::size_t>(type.block_bytes);
  std::vector<std::uint8_t> tried(count * bytes);
  std::vector<float> values(count * run);
  const auto attempt = [&](const float* weights) {
    in.weights = weights;
    encoder.search(in, tried.data());
    coder_of(encoder.dtype)->decode(tried.data(), in.count, values.data());
    return values.data();
  };
  NormSearch(objective.norm).find(in.x, count, run, attempt, [&](std::size_t block) {
    std::copy_n(tried.data() + block * bytes, bytes, blocks + block * bytes);
  });
}

void search_in_pieces(const CodecRequest& request, const gguf::BlockEncoder& encoder, const gguf::SearchedBlocks& in,
                      std::uint8_t* blocks) {
  const DTypeInfo& type = info(encoder.dtype);
  const std::int64_t at_most = kSearchPieceNumel / type.block_numel;
  for (std::int64_t first = 0; first < in.count; first += at_most) {
    const std::int64_t element = first * type.block_numel;
    search(request, encoder, {in.x + element, in.weights_at(element), std::min(at_most, in.count - first), in.thorough},
           blocks + first * type.block_bytes);
  }
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const CodecRequest& request = static_cast<const BlockState&>(base).request();
  const gguf::BlockEncoder& encoder = *encoder_of(request.spec.element);
  const DTypeInfo& type = info(encoder.dtype);
  BlockLayout blocks = request.layout;
  blocks.run = type.block_numel;
  const bool whole_rows = tile.cols == blocks.matrix.cols;
  SearchWeights weights(request.search);
  std::vector<float> buffer;
  auto* out = reinterpret_cast<std::uint8_t*>(spans[0].data());
  EncodeCounts counts;
  for_each_strip(blocks, tile, whole_rows, [&](const Strip& strip) {
    if (!request.two_pass) counts.nonfinite += count_nonfinite(x + strip.offset, strip.runs * strip.run);
    const float* const in = finite_blocks(x + strip.offset, strip, buffer);
    if (is_search(request.search.effort)) {
      search_in_pieces(request, encoder, {in, weights.of(strip, in), strip.runs, request.search.effort == Effort::Max},
                       out);
    } else {
      encoder.reference(in, strip.runs, out);
    }
    counts.overflow += count_overflows(encoder, in, strip.runs * strip.run, out, strip.runs);
    out += strip.runs * type.block_bytes;
  });
  return counts;
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  const DType dtype = request.spec.element;
  const std::int64_t blocks = tile.rows * (tile.cols / info(dtype).block_numel);
  coder_of(dtype)->decode(reinterpret_cast<const std::uint8_t*>(spans[0].data()), blocks, y);
}

}  // namespace

std::optional<QuantSpec> block_spec(DType dtype) {
  const gguf::BlockCoder* coder = coder_of(dtype);
  if (coder == nullptr) return std::nullopt;
  return QuantSpec{.codec = "ggml", .element = dtype, .bits = coder->bits, .granularity = PerTensor{}};
}

constinit const Codec kGgml = {
    .name = "ggml",
    .options = {},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .state_bytes = [](const CodecRequest&) { return std::int64_t{0}; },
    .observes = observes,
    .has_reference = true,
    .searches = searches,
    .begin = begin,
    .observe = observe,
    .settle = [](CodecState&) {},
    .encode = encode,
    .finish = [](const CodecState&, PartSpans) {},
    .decode = decode,
};

}  // namespace mq
