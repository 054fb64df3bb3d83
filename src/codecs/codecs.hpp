// The encodings there are. A new one is declared here and listed in registry.cpp.
#pragma once

#include "src/codecs/codec.hpp"

namespace mq {

extern const Codec kAffine;
extern const Codec kFp8;
extern const Codec kFloatCast;
extern const Codec kGgml;

}  // namespace mq
