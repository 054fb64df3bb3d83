#include "src/dialects/gguf.hpp"

#include <array>
#include <string>

namespace mq {
namespace {

DType scale_dtype(const QuantSpec&, DType) {
  return DType::Float16;  // that of most blocks; theirs to choose
}

CodeForm form(const QuantSpec&) {
  return CodeForm::Bytes;
}

const char* nearest_block(int bits) {
  static constexpr const char* kBlocks[] = {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k"};
  return bits > 6 ? "q8_0" : kBlocks[bits < 2 ? 0 : bits - 2];
}

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  if (spec.codec != "ggml") {
    throw Error({.code = ErrorCode::Usage,
                 .message = "GGUF cannot hold this encoding",
                 .tensor = request.name,
                 .expected = "one of ggml's blocks",
                 .found = to_string(spec),
                 .hint = std::string(nearest_block(spec.bits)) + " is near; --mix takes several as llama.cpp does"});
  }
  const std::int64_t row = request.shape.empty() ? 1 : request.shape.back();
  if (const std::int32_t block = info(spec.element).block_numel; row % block != 0) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "a row is not whole blocks of " + std::string(to_string(spec.element)),
                 .tensor = request.name,
                 .expected = "rows of a multiple of " + std::to_string(block) + " weights",
                 .found = std::to_string(row),
                 .hint = "give the tensor another scheme with --rule, or keep it with --exclude"});
  }
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  TensorInfo info{
      .name = request.name, .dtype = request.codec.spec.element, .shape = request.shape, .file = request.file};
  return {{.info = std::move(info), .part = "codes"}};
}

std::vector<std::string> loads_in(const QuantSpec&) {
  return {"llama.cpp"};
}

}  // namespace

constexpr std::array<std::string_view, 8> kCandidates = {"q2_k", "q3_k", "iq4_xs", "q4_k",
                                                         "q5_k", "q5_1", "q6_k",   "q8_0"};

const Dialect kGgufDialect = {.name = "gguf",
                              .scale_dtype = scale_dtype,
                              .form = form,
                              .outputs = outputs,
                              .config = nullptr,
                              .loads_in = loads_in,
                              .candidates = kCandidates};

}  // namespace mq
