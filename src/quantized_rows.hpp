// Rows of a quantized tensor in memory as floats.
#pragma once

#include <vector>

#include "mq/quantize.hpp"
#include "src/codecs/codec.hpp"

namespace mq {

class QuantizedRows {
 public:
  // Keeps a reference. Throws: Usage if a part is missing or of another type or size.
  explicit QuantizedRows(const QuantizedTensor& tensor);

  const BlockLayout& layout() const noexcept { return request_.layout; }

  // Values of rows [first, first + count).
  void decode(std::int64_t first, std::int64_t count, float* y) const;

 private:
  const Codec& codec_;
  CodecRequest request_;
  std::vector<PartInfo> infos_;
  std::vector<std::span<const std::byte>> parts_;  // whole
};

}  // namespace mq
