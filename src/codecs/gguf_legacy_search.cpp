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

std::vector<float> stored(std::vector<float> values) {
  for (float& value : values) value = rounded_to_half(value);
  return values;
}

// The codes of block i.
LegacyCodes block_of(const std::vector<std::uint8_t>& codes, std::size_t i) {
  LegacyCodes block;
  std::copy_n(codes.data() + i * block.size(), block.size(), block.begin());
  return block;
}

// Its codes are signed.
void pack_q8_0(float d, const LegacyCodes& codes, std::uint8_t* block) {
  store_half(d, block);
  for (std::size_t j = 0; j < codes.size(); ++j) block[2 + j] = codes[j] ^ 0x80;
}

template <int kBits, auto kPack>
void search_signed(const SearchedBlocks& in, std::int64_t bytes, std::uint8_t* blocks) {
  constexpr int kLeast = -(1 << (kBits - 1));
  const std::vector<float> scales = find_scales(in, kBits);
  const std::vector<std::uint8_t> codes = codes_of(in.x, kLegacyNumel, stored(scales), kLeast, -kLeast - 1);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    kPack(scales[i], block_of(codes, i), blocks + static_cast<std::int64_t>(i) * bytes);
  }
}

template <int kMost, auto kPack>
void search_ranged(const SearchedBlocks& in, std::int64_t bytes, std::uint8_t* blocks) {
  const auto count = static_cast<std::size_t>(in.count);
  const kernels::MinSearch how = min_search(kMost, false, in.thorough);
  std::vector<float> scales(count), mins(count);
  active_table().search_min(how, {in.x, in.weights, count, kLegacyNumel, nullptr}, scales.data(), mins.data());
  const std::vector<float> from_min = above(in.x, kLegacyNumel, stored(mins));
  const std::vector<std::uint8_t> codes = codes_of(from_min.data(), kLegacyNumel, stored(scales), 0, kMost);
  for (std::size_t i = 0; i < count; ++i) {
    kPack(scales[i], mins[i], block_of(codes, i), blocks + static_cast<std::int64_t>(i) * bytes);
  }
}

}  // namespace

void search_q8_0(const SearchedBlocks& in, std::uint8_t* blocks) {
  search_signed<8, pack_q8_0>(in, 34, blocks);
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
