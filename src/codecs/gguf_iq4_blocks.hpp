// ggml's four-bit codebook blocks from their numbers, and their search (layouts in gguf_iq4.cpp).
#pragma once

#include "src/codecs/gguf_encode.hpp"

namespace mq::gguf {

constexpr std::array<float, 16> kIq4Values{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int kIq4Run = 32;  // weights that share a scale

// d * values[code], of 32 codes.
void pack_iq4_nl(float d, const std::uint8_t* codes, std::uint8_t* block);
// d * scale * values[code], of 256 codes and 8 scales -32..31 for 32 of them each.
void pack_iq4_xs(float d, const std::int8_t* scales, const std::uint8_t* codes, std::uint8_t* block);

// BlockEncoder::search (gguf_iq4_search.cpp).
void search_iq4_nl(const SearchedBlocks& in, std::uint8_t* blocks);
void search_iq4_xs(const SearchedBlocks& in, std::uint8_t* blocks);

}  // namespace mq::gguf
