#include "src/quantized_rows.hpp"

#include <string>

#include "mq/inline_vector.hpp"

namespace mq {
namespace {

std::string text_of(std::size_t bytes, DType dtype) {
  return std::to_string(bytes) + " bytes of " + std::string(to_string(dtype));
}

}  // namespace

QuantizedRows::QuantizedRows(const QuantizedTensor& tensor) : codec_(codec_of(tensor.spec())) {
  codec_.check(tensor.spec());
  const Shape& shape = tensor.shape();
  request_.spec = tensor.spec();
  request_.layout = make_block_layout(shape, matrix_shape(shape), tensor.spec().granularity);
  infos_ = codec_.parts(request_);
  for (const PartInfo& part : infos_) {
    const Tensor* found = tensor.find(part.name);
    const auto bytes = static_cast<std::size_t>(part.rows * part.row_bytes);
    if (found == nullptr || found->dtype() != part.dtype || found->bytes().size() != bytes) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "a quantized tensor of " + to_string(tensor.spec()) + " and shape " + to_string(shape) +
                              " does not have the part " + std::string(part.name),
                   .expected = text_of(bytes, part.dtype),
                   .found = found == nullptr ? "none" : text_of(found->bytes().size(), found->dtype())});
    }
    parts_.push_back(found->bytes());
  }
}

void QuantizedRows::decode(std::int64_t first, std::int64_t count, float* y) const {
  InlineVector<std::span<const std::byte>, 8> parts{std::span(parts_)};  // rows may be many and short
  for (std::size_t i = 0; i < parts.size(); ++i) {
    // The codes of a tile are its own; of other parts those that are tiled have its rows.
    if (i != 0 && !infos_[i].tiled) continue;
    const auto bytes = static_cast<std::size_t>(infos_[i].row_bytes);
    parts[i] = parts[i].subspan(static_cast<std::size_t>(first) * bytes, static_cast<std::size_t>(count) * bytes);
  }
  codec_.decode(request_, {first, count, 0, request_.layout.matrix.cols}, {parts.data(), parts.size()}, y);
}

}  // namespace mq
