#pragma once

namespace wrap {

// Bytes of a tensor of numel float32 elements quantized with the scheme. Throws what mq throws.
long quantized_bytes(const char* scheme, long numel);

}  // namespace wrap
