// Whole logical tensors in memory.
#include "mq/source.hpp"
#include "src/dialects/dialect.hpp"
#include "src/matrix_reader.hpp"

namespace mq {

Tensor read_float(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const MatrixReader reader(checkpoint, tensor);
  const MatrixShape shape = reader.shape();
  Buffer values(static_cast<std::size_t>(bytes_of(DType::Float32, shape.numel())));
  Scratch scratch;
  if (shape.numel() > 0) reader.read({0, shape.rows, 0, shape.cols}, values.as<float>(), scratch);
  return Tensor(DType::Float32, tensor.info.shape, std::move(values));
}

QuantizedTensor load_quantized(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  if (!tensor.spec) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "not quantized",
                 .file = checkpoint.path().string(),
                 .tensor = tensor.info.name,
                 .found = std::string(to_string(tensor.info.dtype))});
  }
  return MatrixReader(checkpoint, tensor).load();
}

}  // namespace mq
