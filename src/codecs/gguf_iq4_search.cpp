// Lower error in ggml's four-bit codebook blocks: scales of either sign that are searched for.
#include <algorithm>

#include "src/active_table.hpp"
#include "src/codecs/gguf_iq4_blocks.hpp"
#include "src/codecs/gguf_multiples.hpp"
#include "src/exact_search.hpp"

namespace mq::gguf {
namespace {

constexpr kernels::Levels kLevels = [] {
  kernels::Levels levels{.value = {}, .middle = {}, .sign_magnitude = false};
  for (std::size_t i = 0; i < kIq4Values.size(); ++i) levels.value[i] = kIq4Values[i];
  for (std::size_t i = 0; i + 1 < kIq4Values.size(); ++i) levels.middle[i] = (kIq4Values[i] + kIq4Values[i + 1]) / 2;
  return levels;
}();

constexpr kernels::AffineSearch kSearch = {.levels = &kLevels,
                                           .code_min = kIq4Values.front(),
                                           .code_max = kIq4Values.back(),
                                           .zero_point = 0,
                                           .own_zero_points = false,
                                           .either_sign = true,
                                           .both_signs = true,
                                           .shrink = 0.9f,
                                           .grow = 1.2f,
                                           .crest = 2.6f,
                                           .candidates = 12,
                                           .refinements = 2};

// The code of a value that is one of the levels.
std::uint8_t code_of(float value) {
  static constexpr std::array<std::uint8_t, 256> kCodes = [] {
    std::array<std::uint8_t, 256> codes{};
    for (std::size_t q = 0; q < kIq4Values.size(); ++q) {
      codes[static_cast<std::size_t>(kIq4Values[q] + 128)] = static_cast<std::uint8_t>(q);
    }
    return codes;
  }();
  return kCodes[static_cast<std::size_t>(static_cast<int>(value) + 128)];
}

std::vector<float> find_scales(const UnitBlocks& units, const SearchedBlocks& in) {
  const auto count = static_cast<std::size_t>(in.count);
  std::vector<float> scales(count), zero_points(count);
  if (!in.thorough) {
    const std::vector<kernels::Range> ranges = ranges_with_zero(units.x(), count, kIq4Run);
    active_table().search_affine(kSearch, {units.x(), in.weights, count, kIq4Run, ranges.data()}, scales.data(),
                                 zero_points.data());
    return scales;
  }
  ExactSearch exact(kSearch);
  for (std::size_t i = 0; i < count; ++i) {
    const float* const weights = in.weights == nullptr ? nullptr : in.weights + i * kIq4Run;
    scales[i] = exact.find({units.x() + i * kIq4Run, kIq4Run}, weights).scale;
  }
  return scales;
}

}  // namespace

void search_iq4_nl(const SearchedBlocks& in, std::uint8_t* blocks) {
  const UnitBlocks units(in, kIq4Run);
  const std::vector<float> scales = find_scales(units, in);
  for (std::int64_t i = 0; i < in.count; ++i) {
    const float scale = scales[static_cast<std::size_t>(i)];
    std::array<float, kIq4Run> values;
    nearest_values(kSearch, units.block(i), kIq4Run, inverse_or_zero(units.rounded(i, scale)), values.data());
    Iq4Codes codes;
    for (std::size_t j = 0; j < values.size(); ++j) codes[j] = code_of(values[j]);
    pack_iq4_nl(units.real(i, scale), codes, blocks + i * 18);
  }
  keep_better(kNonlinear[0], kNonlinearEncoders[0], in, blocks);
}

void search_iq4_xs(const SearchedBlocks& in, std::uint8_t* blocks) {
  const MultiplesLayout layout{.run = kIq4Run, .least_multiple = -32, .codes = kSearch};
  MultiplesSearch search(layout, in);
  const std::vector<Multiples> found = search.find();
  for (std::size_t b = 0; b < found.size(); ++b) {
    std::array<float, 256> values;
    search.values(b, found[b], values.data());
    Iq4Codes codes;
    for (std::size_t i = 0; i < values.size(); ++i) codes[i] = code_of(values[i]);
    std::array<std::int8_t, 8> multiples;
    std::copy_n(found[b].of_run.begin(), multiples.size(), multiples.begin());
    pack_iq4_xs(search.real_d(b, found[b]), multiples, codes, blocks + static_cast<std::int64_t>(b) * 136);
  }
  keep_better(kNonlinear[1], kNonlinearEncoders[1], in, blocks);
}

}  // namespace mq::gguf
