// Digests of bytes.
#pragma once

// All of it local to the object that includes it, in the widest vectors that the object's flags allow.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>

namespace mq::kernels {

template <class Isa>
struct Digest {
  static void xxh3_128(const std::uint8_t* bytes, std::size_t n, std::uint8_t* digest) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, n));
    for (std::size_t i = 0; i < sizeof canonical.digest; ++i) digest[i] = canonical.digest[i];
  }
};

}  // namespace mq::kernels
