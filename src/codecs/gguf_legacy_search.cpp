// Lower error in ggml's first block types: scales that are searched for, with either sign, and minima beside them.
// Codes belong to the numbers as stored.
#include <algorithm>

#include "src/active_table.hpp"
#include "src/codecs/gguf_legacy_blocks.hpp"
#include "src/codecs/gguf_search.hpp"
#include "src/search.hpp"

namespace mq::gguf {
namespace {

void keep_better(std::size_t type, const SearchedBlocks& in, std::uint8_t* blocks) {
  gguf::keep_better(kLegacy[type], kLegacyEncoders[type], in, blocks);
}

// The scale of each block for codes of so many bits around zero.
std::vector<float> find_scales(const SearchedBlocks& in, int bits) {
  const kernels::AffineSearch how = affine_search({.bits = bits, .range = RangeKind::Signed});
  return searched_scales(how, in.x, in, static_cast<std::size_t>(in.count), kLegacyNumel);
}

// Codes of the bits, counted from zero, for the scale as stored.
template <int kBits>
void code(const float* x, float scale, int* codes) {
  constexpr int kLeast = -(1 << (kBits - 1));
  const float inverse = inverse_or_zero(rounded_to_half(scale));
  for (int j = 0; j < kLegacyNumel; ++j) codes[j] = whole(x[j] * inverse, kLeast, -kLeast - 1);
}

template <int kBits, auto kPack>
void search_signed(const SearchedBlocks& in, std::int64_t bytes, std::uint8_t* blocks) {
  const std::vector<float> scales = find_scales(in, kBits);
  for (std::int64_t i = 0; i < in.count; ++i) {
    int q[kLegacyNumel];
    const float scale = scales[static_cast<std::size_t>(i)];
    code<kBits>(in.x + i * kLegacyNumel, scale, q);
    LegacyCodes codes;
    for (std::size_t j = 0; j < codes.size(); ++j) codes[j] = static_cast<std::uint8_t>(q[j] + (1 << (kBits - 1)));
    kPack(scale, codes, blocks + i * bytes);
  }
}

template <int kMost, auto kPack>
void search_ranged(const SearchedBlocks& in, std::int64_t bytes, std::uint8_t* blocks) {
  const auto count = static_cast<std::size_t>(in.count);
  const kernels::MinSearch how = min_search(kMost, false, in.thorough);
  std::vector<float> scales(count), mins(count);
  active_table().search_min(how, {in.x, in.weights, count, kLegacyNumel, nullptr}, scales.data(), mins.data());
  for (std::size_t i = 0; i < count; ++i) {
    const float* const x = in.x + i * kLegacyNumel;
    const float inverse = inverse_or_zero(rounded_to_half(scales[i])), min = rounded_to_half(mins[i]);
    LegacyCodes codes;
    for (std::size_t j = 0; j < codes.size(); ++j) {
      codes[j] = static_cast<std::uint8_t>(whole((x[j] - min) * inverse, 0, kMost));
    }
    kPack(scales[i], mins[i], codes, blocks + static_cast<std::int64_t>(i) * bytes);
  }
}

}  // namespace

void search_q8_0(const SearchedBlocks& in, std::uint8_t* blocks) {
  const std::vector<float> scales = find_scales(in, 8);
  for (std::int64_t i = 0; i < in.count; ++i) {
    std::uint8_t* const block = blocks + i * 34;
    int q[kLegacyNumel];
    const float scale = scales[static_cast<std::size_t>(i)];
    code<8>(in.x + i * kLegacyNumel, scale, q);
    store_half(scale, block);
    for (int j = 0; j < kLegacyNumel; ++j) block[2 + j] = static_cast<std::uint8_t>(q[j]);
  }
  keep_better(0, in, blocks);
}

void search_q4_0(const SearchedBlocks& in, std::uint8_t* blocks) {
  search_signed<4, pack_q4_0>(in, 18, blocks);
  keep_better(1, in, blocks);
}

void search_q4_1(const SearchedBlocks& in, std::uint8_t* blocks) {
  search_ranged<15, pack_q4_1>(in, 20, blocks);
  keep_better(2, in, blocks);
}

void search_q5_0(const SearchedBlocks& in, std::uint8_t* blocks) {
  search_signed<5, pack_q5_0>(in, 22, blocks);
  keep_better(3, in, blocks);
}

void search_q5_1(const SearchedBlocks& in, std::uint8_t* blocks) {
  search_ranged<31, pack_q5_1>(in, 24, blocks);
  keep_better(4, in, blocks);
}

}  // namespace mq::gguf
