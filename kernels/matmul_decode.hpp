// Panels of integer codes as floats or as bytes, in vectors (kernels/matmul.hpp).
#pragma once

#include "kernels/matmul_table.hpp"

namespace mq::kernels {

template <class V>
struct MatmulDecode {
  using Floats = typename V::Floats;
  static void expand_4(const std::uint8_t* codes, std::size_t octets, std::uint8_t* out) noexcept {
    for (std::size_t o = 0; o < octets; ++o) {
      for (std::size_t i = 0; i < 64; ++i) out[o * 128 + i] = codes[o * 64 + i] & 15;
      for (std::size_t i = 0; i < 64; ++i) out[o * 128 + 64 + i] = codes[o * 64 + i] >> 4;
    }
  }

  static void floats_of_8(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of<false>(codes, octets, block_octets, zero_point, zero_point_of_all, out);
  }
  static void floats_of_4(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of<true>(codes, octets, block_octets, zero_point, zero_point_of_all, out);
  }

  // What makes u - z of 2^23 + u, exactly.
  static Floats offset_of(const std::uint8_t* zero_point, float zero_point_of_all) {
    const Floats zero = zero_point != nullptr ? V::to_float(V::widen(zero_point)) : V::each(zero_point_of_all);
    return V::multiply(V::add(zero, V::each(8388608.0f)), V::each(-1.0f));
  }

 private:
  using Ints = typename V::Ints;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr std::size_t kParts = kPanelColumns / kLanes;

  template <bool kNibbles>
  static void floats_of(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                        const std::uint8_t* zero_point, float zero_point_of_all, float* out) {
    constexpr std::size_t kOctetBytes = kNibbles ? 64 : 128;
    for (std::size_t begin = 0, block = 0; begin < octets; begin += block_octets, ++block) {
      const std::size_t end = octets - begin < block_octets ? octets : begin + block_octets;
      for (std::size_t part = 0; part < kParts; ++part) {
        const std::size_t column = part * kLanes;
        const Floats offset =
            offset_of(zero_point != nullptr ? zero_point + block * kPanelColumns + column : nullptr, zero_point_of_all);
        for (std::size_t o = begin; o < end; ++o) {
          octet_floats<kNibbles>(codes + o * kOctetBytes + column * 4, offset,
                                 out + o * kOctet * kPanelColumns + column);
        }
      }
    }
  }

  template <bool kNibbles>
  static void octet_floats(const std::uint8_t* in, Floats offset, float* out) {
    const auto put = [&](Floats lifted, std::size_t k) { V::store(V::add(lifted, offset), out + k * kPanelColumns); };
    const Ints words = V::words(in);
    if constexpr (kNibbles) {
      put(V::template lifted<0, 15>(words), 0), put(V::template lifted<8, 15>(words), 1);
      put(V::template lifted<16, 15>(words), 2), put(V::template lifted<24, 15>(words), 3);
      put(V::template lifted<4, 15>(words), 4), put(V::template lifted<12, 15>(words), 5);
      put(V::template lifted<20, 15>(words), 6), put(V::template lifted<28, 15>(words), 7);
    } else {
      const Ints more = V::words(in + 64);
      put(V::template lifted<0, 255>(words), 0), put(V::template lifted<8, 255>(words), 1);
      put(V::template lifted<16, 255>(words), 2), put(V::template lifted<24, 255>(words), 3);
      put(V::template lifted<0, 255>(more), 4), put(V::template lifted<8, 255>(more), 5);
      put(V::template lifted<16, 255>(more), 6), put(V::template lifted<24, 255>(more), 7);
    }
  }
};

}  // namespace mq::kernels
