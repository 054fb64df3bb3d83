#include <array>
#include <string>

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

void require_encodable(const EncodeCounts& counts, const QuantSpec& spec, std::string_view tensor_name) {
  if (counts.nonfinite == 0 && counts.overflow == 0) return;
  ErrorDetails details{.code = ErrorCode::Numeric, .tensor = std::string(tensor_name)};
  if (counts.nonfinite != 0) {
    details.message = std::to_string(counts.nonfinite) + " values are NaN or infinite";
  } else if (codec_of(spec).options.granularity) {
    details.message =
        std::to_string(counts.overflow) + " scales are too large for " + std::string(to_string(scale_dtype_of(spec)));
    details.hint = "store the scales as f32";
  } else {
    details.message =
        std::to_string(counts.overflow) + " values are too large for " + std::string(to_string(spec.element));
    details.hint = "use a type of a wider range";
  }
  throw Error(std::move(details));
}

}  // namespace mq
