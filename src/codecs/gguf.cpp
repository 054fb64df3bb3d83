// The block types of ggml as one encoding: a block of consecutive weights of a row holds their codes and all that is
// needed to decode them. One part, "codes", whose elements are blocks; nothing belongs to the whole tensor. Decoding
// only: there is nothing here that makes blocks.
#include "src/codecs/gguf.hpp"

#include <string>

#include "src/codecs/codecs.hpp"

namespace mq {
namespace {

template <std::size_t N>
const gguf::BlockCoder* find(const std::array<gguf::BlockCoder, N>& family, DType dtype) noexcept {
  for (const gguf::BlockCoder& coder : family) {
    if (coder.dtype == dtype) return &coder;
  }
  return nullptr;
}

const gguf::BlockCoder* coder_of(DType dtype) noexcept {
  if (const auto* coder = find(gguf::kLegacy, dtype)) return coder;
  if (const auto* coder = find(gguf::kSuper, dtype)) return coder;
  if (const auto* coder = find(gguf::kNonlinear, dtype)) return coder;
  return find(gguf::kFloat4, dtype);
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
  return {{"codes", request.spec.element, matrix.rows, bytes_of(request.spec.element, matrix.cols)}};
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
    .schemes = [] { return std::span<const SchemeInfo>(); },
    .check = check,
    .parts = parts,
    .decode = decode,
};

}  // namespace mq
