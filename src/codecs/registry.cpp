#include <array>
#include <string>

#include "mq/pack.hpp"
#include "src/codecs/codecs.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace {

constexpr std::array<const Codec*, 3> kCodecs{&kAffine, &kFp8, &kFloatCast};

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
