// The blocks of ggml's first types from their numbers, and their search (layouts in gguf_legacy.cpp).
#pragma once

#include "src/codecs/gguf_encode.hpp"

namespace mq::gguf {

constexpr int kLegacyNumel = 32;
using LegacyCodes = std::array<std::uint8_t, kLegacyNumel>;

inline void pack_q4_0(float d, const LegacyCodes& codes, std::uint8_t* block) {
  store_half(d, block);
  pack_nibbles(codes.data(), block + 2);
}

inline void pack_q4_1(float d, float m, const LegacyCodes& codes, std::uint8_t* block) {
  store_half(d, block);
  store_half(m, block + 2);
  pack_nibbles(codes.data(), block + 4);
}

// The fifth bits and the nibbles.
inline void pack_fives(const LegacyCodes& codes, std::uint8_t* to) {
  std::uint32_t high = 0;
  for (std::size_t j = 0; j < codes.size(); ++j) high |= static_cast<std::uint32_t>(codes[j] >> 4) << j;
  store_u32(high, to);
  pack_nibbles(codes.data(), to + 4);
}

inline void pack_q5_0(float d, const LegacyCodes& codes, std::uint8_t* block) {
  store_half(d, block);
  pack_fives(codes, block + 2);
}

inline void pack_q5_1(float d, float m, const LegacyCodes& codes, std::uint8_t* block) {
  store_half(d, block);
  store_half(m, block + 2);
  pack_fives(codes, block + 4);
}

// BlockEncoder::search (gguf_legacy_search.cpp).
void search_q8_0(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q4_0(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q4_1(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q5_0(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q5_1(const SearchedBlocks& in, std::uint8_t* blocks);

}  // namespace mq::gguf
