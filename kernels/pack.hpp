// Codes of 4 bits, two to a byte.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

template <class Isa>
struct Pack {
  static void pack_4(const std::uint8_t* codes, std::size_t n, std::uint8_t* packed) noexcept {
    if (n < kStep) return Reference<Isa>::pack_4(codes, n, packed);
    std::size_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      Isa::store_nibbles(Bytes::load_unaligned(codes + i) & Bytes(std::uint8_t{15}), packed + i / 2);
    }
    Reference<Isa>::pack_4(codes + i, n - i, packed + i / 2);
  }

  static void unpack_4(const std::uint8_t* packed, std::size_t n, std::uint8_t* codes) noexcept {
    std::size_t i = 0;
    for (; i + kStep <= n; i += kStep) Isa::unpack_nibbles(packed + i / 2, codes + i);
    Reference<Isa>::unpack_4(packed + i / 2, n - i, codes + i);
  }

 private:
  using Bytes = typename Lanes<Isa>::Bytes;
  static constexpr std::size_t kStep = Bytes::size;
};

}  // namespace mq::kernels
