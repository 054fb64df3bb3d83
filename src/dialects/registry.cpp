#include <array>

#include "src/dialects/awq.hpp"
#include "src/dialects/bitsandbytes.hpp"
#include "src/dialects/comfyui.hpp"
#include "src/dialects/compressed_tensors.hpp"
#include "src/dialects/dialect.hpp"
#include "src/dialects/fp8_blocks.hpp"
#include "src/dialects/gguf.hpp"
#include "src/dialects/gptq.hpp"
#include "src/dialects/mono_quant.hpp"
#include "src/dialects/plain.hpp"
#include "src/dialects/quanto.hpp"
#include "src/dialects/torch_quantized.hpp"
#include "src/dialects/torchao.hpp"

namespace mq {
namespace {

constexpr std::array kDialects = {&kCompressedTensors, &kGptq,      &kGptqV2, &kAwq,     &kBitsAndBytes,
                                  &kFp8Blocks,         &kComfyUi,   &kQuanto, &kTorchAo, &kTorchQuantized,
                                  &kGgufDialect,       &kMonoQuant, &kPlain};

}  // namespace

std::span<const Dialect* const> all_dialects() noexcept {
  return kDialects;
}

const Dialect& dialect_named(std::string_view name) {
  std::string names;
  for (const Dialect* dialect : kDialects) {
    if (dialect->outputs == nullptr) continue;
    if (dialect->name == name) return *dialect;
    names += (names.empty() ? "" : ", ") + std::string(dialect->name);
  }
  throw Error({.code = ErrorCode::Usage, .message = "unknown dialect '" + printable(name) + "'", .expected = names});
}

DialectRequest make_request(const Dialect& dialect, SharedString name, Shape shape, int leading_dims, SharedString file,
                            const QuantSpec& spec, DType original) {
  const BlockLayout layout = make_block_layout(shape, matrix_shape(shape, leading_dims), spec.granularity);
  return {.name = std::move(name),
          .shape = std::move(shape),
          .leading_dims = leading_dims,
          .file = std::move(file),
          .codec = {.spec = spec, .layout = layout, .form = dialect.form(spec)},
          .original = original};
}

}  // namespace mq
