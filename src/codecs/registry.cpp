#include <array>
#include <string>

#include "mq/pack.hpp"
#include "src/codecs/codecs.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr std::array<const Codec*, 11> kCodecs{&kAffine, &kFp8,       &kMxfp8, &kNf4, &kFp4,     &kMxfp4,
                                               &kNvfp4,  &kFloatCast, &kGgml,  &kHqq, &kOutliers};

void append(std::string& list, std::string_view name) {
  list += (list.empty() ? "" : ", ") + std::string(name);
}

}  // namespace

std::span<const Codec* const> all_codecs() noexcept {
  return kCodecs;
}

const Codec& codec_of(const QuantSpec& spec) {
  for (const Codec* codec : kCodecs) {
    if (codec->name == spec.codec) return *codec;
  }
  throw Error({.code = ErrorCode::Internal, .message = "unknown encoding", .found = spec.codec});
}

void require_decodable(const TensorInfo& tensor) {
  if (!is_quantized_block(tensor.dtype) || block_spec(tensor.dtype)) return;
  std::string decoded;
  for (int i = static_cast<int>(DType::Q4_0); i <= static_cast<int>(DType::NVFP4); ++i) {
    if (block_spec(static_cast<DType>(i))) append(decoded, to_string(static_cast<DType>(i)));
  }
  throw Error({.code = ErrorCode::Unsupported,
               .message = std::string(to_string(tensor.dtype)) + " blocks are not decoded",
               .tensor = tensor.name,
               .expected = "one of " + decoded});
}

void require_encoder(const QuantSpec& spec) {
  // Of blocks with codes and scales together, not all types that are read are written.
  bool is_scheme = !is_quantized_block(spec.element);
  std::string written;
  for (const SchemeInfo& scheme : schemes()) {
    is_scheme = is_scheme || (scheme.spec.codec == spec.codec && scheme.spec.element == spec.element);
    append(written, scheme.name);
  }
  if (is_scheme) return;
  throw Error({.code = ErrorCode::Usage,
               .message = to_string(spec) + " is read but cannot be written yet",
               .expected = "one of " + written});
}

void require_effort(const QuantSpec& spec, Effort effort, std::string_view tensor_name) {
  if (effort != Effort::Reference || codec_of(spec).has_reference) return;
  throw Error({.code = ErrorCode::Usage,
               .message = to_string(spec) + " has no foreign encoder to follow",
               .tensor = std::string(tensor_name),
               .expected = "the effort fast, search or max"});
}

std::int64_t code_bytes(const CodecRequest& request, std::int64_t cols) {
  if (request.form == CodeForm::Packed) return packed_row_bytes(cols, request.spec.bits);
  return bytes_of(request.spec.element, cols);
}

void require_encodable(const EncodeCounts& counts, const QuantSpec& spec, std::string_view tensor_name) {
  if (counts.nonfinite == 0 && counts.overflow == 0) return;
  ErrorDetails details{.code = ErrorCode::Numeric, .tensor = std::string(tensor_name)};
  if (counts.nonfinite != 0) {
    details.message = "cannot be encoded as " + to_string(spec);
    details.expected = "finite values";
    details.found = std::to_string(counts.nonfinite) + " that are NaN or infinite";
    details.hint = "keep the tensor with --exclude, or accept them with --allow-nan";
  } else if (codec_of(spec).options.outliers) {
    details.message = "outlier columns, which are float16, or scales would become infinite";
    details.expected = "values within the range of their type";
    details.found = std::to_string(counts.overflow) + " beyond it";
    details.hint = "keep the tensor with --exclude";
  } else if (codec_of(spec).options.granularity) {
    details.message = "scales would become infinite as " + std::string(to_string(scale_dtype_of(spec)));
    details.expected = "scales within the range of the type";
    details.found = std::to_string(counts.overflow) + " beyond it";
    details.hint = "store the scales as f32";
  } else {
    details.message = "values would become infinite as " + std::string(to_string(spec.element));
    details.expected = "values within the range of the type";
    details.found = std::to_string(counts.overflow) + " beyond it";
    details.hint = "use bf16, or keep the tensor with --exclude";
  }
  throw Error(std::move(details));
}

}  // namespace mq
