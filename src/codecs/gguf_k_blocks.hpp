// The super-blocks of ggml's K-quants from their numbers, and their search (layouts in gguf_k.cpp).
#pragma once

#include "src/codecs/gguf_encode.hpp"

namespace mq::gguf {

constexpr int kSuperNumel = 256;
using SuperCodes = std::array<std::uint8_t, kSuperNumel>;

// q2_k, q4_k, q5_k: y = d * scale * code - dmin * min.
struct RangedBlock {
  float d, dmin;                              // rounded to f16 when they are stored
  std::array<std::uint8_t, 16> scales, mins;  // 8 are used where 32 weights share one
  SuperCodes codes;
};
void pack_q2_k(const RangedBlock& from, std::uint8_t* block);
void pack_q4_k(const RangedBlock& from, std::uint8_t* block);
void pack_q5_k(const RangedBlock& from, std::uint8_t* block);

// q3_k, q6_k: y = d * scale * (code - zero), zero being 4 or 32.
struct SignedBlock {
  float d;
  std::array<std::int8_t, 16> scales;
  SuperCodes codes;
};
void pack_q3_k(const SignedBlock& from, std::uint8_t* block);
void pack_q6_k(const SignedBlock& from, std::uint8_t* block);

// ggml's encoders of one super-block (gguf_k_ranged.cpp, gguf_k_signed.cpp).
void reference_q2_k(const float* __restrict x, std::uint8_t* __restrict block);
void reference_q3_k(const float* __restrict x, std::uint8_t* __restrict block);
void reference_q4_k(const float* __restrict x, std::uint8_t* __restrict block);
void reference_q5_k(const float* __restrict x, std::uint8_t* __restrict block);
void reference_q6_k(const float* __restrict x, std::uint8_t* __restrict block);

// BlockEncoder::search (gguf_k_ranged_search.cpp, gguf_k_signed_search.cpp).
void search_q2_k(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q3_k(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q4_k(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q5_k(const SearchedBlocks& in, std::uint8_t* blocks);
void search_q6_k(const SearchedBlocks& in, std::uint8_t* blocks);

}  // namespace mq::gguf
