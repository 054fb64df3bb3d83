#include "src/dialects/plain.hpp"

namespace mq {
namespace {

DType scale_dtype(const QuantSpec&, DType original) {
  return original;
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  if (request.codec.spec.codec != "float_cast") {
    throw Error({.code = ErrorCode::Usage,
                 .message = "the plain dialect stores float tensors only",
                 .tensor = request.name,
                 .found = to_string(request.codec.spec),
                 .hint = "use the compressed_tensors dialect"});
  }
  TensorInfo info{
      .name = request.name, .dtype = request.codec.spec.element, .shape = request.shape, .file = request.file};
  return {{.info = std::move(info), .part = "codes"}};
}

std::vector<std::string> loads_in(const QuantSpec&) {
  return {"transformers", "vLLM"};
}

}  // namespace

const Dialect kPlain = {.name = "plain",
                        .scale_dtype = scale_dtype,
                        .form = form,
                        .outputs = outputs,
                        .config = nullptr,
                        .loads_in = loads_in};

}  // namespace mq
