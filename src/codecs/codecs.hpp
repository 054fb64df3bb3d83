// The encodings there are. A new one is declared here and listed in registry.cpp.
#pragma once

#include "src/codecs/codec.hpp"

namespace mq {

extern const Codec kAffine;
extern const Codec kFp8;
extern const Codec kMxfp8;
extern const Codec kNf4;
extern const Codec kFp4;
extern const Codec kMxfp4;
extern const Codec kNvfp4;
extern const Codec kFloatCast;
extern const Codec kGgml;
extern const Codec kHqq;
extern const Codec kOutliers;

}  // namespace mq
