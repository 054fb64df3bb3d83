// Versions of the library and of what it writes.
#pragma once

namespace mq {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr int kMetadataSchema = 1;  // of quantization_metadata.json; newer ones are refused

}  // namespace mq
