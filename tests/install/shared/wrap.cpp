#include "wrap.hpp"

#include <mq/mq.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace wrap {

long quantized_bytes(const char* scheme, long numel) {
  const std::vector<float> x(static_cast<std::size_t>(numel), 1.0f);
  const std::vector<std::int64_t> shape = {1, numel};
  const auto quantized =
      mq::quantize({mq::DType::Float32, shape, std::as_bytes(std::span(x))}, mq::parse_spec(scheme));
  long bytes = 0;
  for (const auto& part : quantized.parts()) bytes += static_cast<long>(part.tensor.bytes().size());
  return bytes;
}

}  // namespace wrap
