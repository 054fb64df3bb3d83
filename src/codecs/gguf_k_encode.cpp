// The super-blocks of ggml's K-quants from their numbers (layouts in gguf_k.cpp), and the list of their encoders.
#include "src/codecs/gguf_k_blocks.hpp"

namespace mq::gguf {
namespace {

// The low two bits: codes 32j + l of 128 in bits 2j of byte l.
void pack_pairs(const SuperCodes& codes, std::uint8_t* to) {
  for (std::size_t n = 0; n < 2; ++n) {
    const std::uint8_t* const q = codes.data() + 128 * n;
    for (std::size_t l = 0; l < 32; ++l) {
      to[32 * n + l] =
          static_cast<std::uint8_t>((q[l] & 3) | (q[l + 32] & 3) << 2 | (q[l + 64] & 3) << 4 | (q[l + 96] & 3) << 6);
    }
  }
}

// The low four bits: of each 64 codes the first 32 in the low nibbles.
void pack_halves(const SuperCodes& codes, std::uint8_t* to) {
  for (std::size_t n = 0; n < 4; ++n) {
    const std::uint8_t* const q = codes.data() + 64 * n;
    for (std::size_t l = 0; l < 32; ++l) {
      to[32 * n + l] = static_cast<std::uint8_t>((q[l] & 15) | (q[l + 32] & 15) << 4);
    }
  }
}

// Bit `bit` of the codes: that of code 32g + l in bit g of byte l.
void pack_bit(const SuperCodes& codes, int bit, std::uint8_t* to) {
  for (std::size_t l = 0; l < 32; ++l) {
    int byte = 0;
    for (std::size_t g = 0; g < 8; ++g) byte |= (codes[32 * g + l] >> bit & 1) << g;
    to[l] = static_cast<std::uint8_t>(byte);
  }
}

// 8 pairs of 6 bits in 12 bytes.
void pack_scales(const RangedBlock& from, std::uint8_t* s) {
  for (std::size_t g = 0; g < 4; ++g) {
    const int scale = from.scales[g], min = from.mins[g];
    const int later_scale = from.scales[g + 4], later_min = from.mins[g + 4];
    s[g] = static_cast<std::uint8_t>(scale | (later_scale >> 4) << 6);
    s[g + 4] = static_cast<std::uint8_t>(min | (later_min >> 4) << 6);
    s[g + 8] = static_cast<std::uint8_t>((later_scale & 15) | (later_min & 15) << 4);
  }
}

}  // namespace

void pack_q2_k(const RangedBlock& from, std::uint8_t* block) {
  for (std::size_t g = 0; g < 16; ++g) block[g] = static_cast<std::uint8_t>(from.scales[g] | from.mins[g] << 4);
  pack_pairs(from.codes, block + 16);
  store_half(from.d, block + 80);
  store_half(from.dmin, block + 82);
}

void pack_q4_k(const RangedBlock& from, std::uint8_t* block) {
  store_half(from.d, block);
  store_half(from.dmin, block + 2);
  pack_scales(from, block + 4);
  pack_halves(from.codes, block + 16);
}

void pack_q5_k(const RangedBlock& from, std::uint8_t* block) {
  store_half(from.d, block);
  store_half(from.dmin, block + 2);
  pack_scales(from, block + 4);
  pack_bit(from.codes, 4, block + 16);
  pack_halves(from.codes, block + 48);
}

void pack_q3_k(const SignedBlock& from, std::uint8_t* block) {
  pack_bit(from.codes, 2, block);
  pack_pairs(from.codes, block + 32);
  std::uint8_t* const scales = block + 96;
  for (std::size_t g = 0; g < 4; ++g) {
    const auto stored = [&](std::size_t i) { return from.scales[g + 4 * i] + 32; };
    scales[g] = static_cast<std::uint8_t>((stored(0) & 15) | (stored(2) & 15) << 4);
    scales[g + 4] = static_cast<std::uint8_t>((stored(1) & 15) | (stored(3) & 15) << 4);
    scales[g + 8] = static_cast<std::uint8_t>(stored(0) >> 4 | (stored(1) >> 4) << 2 | (stored(2) >> 4) << 4 |
                                              (stored(3) >> 4) << 6);
  }
  store_half(from.d, block + 108);
}

void pack_q6_k(const SignedBlock& from, std::uint8_t* block) {
  for (std::size_t n = 0; n < 2; ++n) {
    const std::uint8_t* const q = from.codes.data() + 128 * n;
    for (std::size_t l = 0; l < 32; ++l) {
      block[64 * n + l] = static_cast<std::uint8_t>((q[l] & 15) | (q[l + 64] & 15) << 4);
      block[64 * n + 32 + l] = static_cast<std::uint8_t>((q[l + 32] & 15) | (q[l + 96] & 15) << 4);
      block[128 + 32 * n + l] =
          static_cast<std::uint8_t>(q[l] >> 4 | (q[l + 32] >> 4) << 2 | (q[l + 64] >> 4) << 4 | (q[l + 96] >> 4) << 6);
    }
  }
  std::memcpy(block + 192, from.scales.data(), from.scales.size());
  store_half(from.d, block + 208);
}

// In the order of kSuper.
const std::array<BlockEncoder, 5> kSuperEncoders{{
    {DType::Q2_K,
     "ggml: 2 bits, 4-bit scales and minima for 16 weights",
     {80, 82},
     encode_each<kSuperNumel, 84, reference_q2_k>,
     search_q2_k},
    {DType::Q3_K,
     "ggml: 3 bits, 6-bit scales for 16 weights",
     {108, -1},
     encode_each<kSuperNumel, 110, reference_q3_k>,
     search_q3_k},
    {DType::Q4_K,
     "ggml: 4 bits, 6-bit scales and minima for 32 weights",
     {0, 2},
     encode_each<kSuperNumel, 144, reference_q4_k>,
     search_q4_k},
    {DType::Q5_K,
     "ggml: 5 bits, 6-bit scales and minima for 32 weights",
     {0, 2},
     encode_each<kSuperNumel, 176, reference_q5_k>,
     search_q5_k},
    {DType::Q6_K,
     "ggml: 6 bits, 8-bit scales for 16 weights",
     {208, -1},
     encode_each<kSuperNumel, 210, reference_q6_k>,
     search_q6_k},
}};

}  // namespace mq::gguf
