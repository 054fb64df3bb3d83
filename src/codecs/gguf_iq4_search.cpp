// Lower error in ggml's four-bit codebook blocks: scales of either sign that are searched for.
#include "src/active_table.hpp"
#include "src/codecs/gguf_iq4_blocks.hpp"
#include "src/codecs/gguf_multiples.hpp"
#include "src/codecs/levels.hpp"

namespace mq::gguf {
namespace {

constexpr kernels::Levels kLevels = signed_levels(kIq4Values);

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

}  // namespace

void search_iq4_nl(const SearchedBlocks& in, std::uint8_t* blocks) {
  const UnitBlocks units(in, kIq4Run);
  const std::vector<float> scales =
      searched_scales(kSearch, units.x(), in, static_cast<std::size_t>(in.count), kIq4Run);
  std::vector<float> stored;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    stored.push_back(units.rounded(static_cast<std::int64_t>(i), scales[i]));
  }
  std::vector<std::uint8_t> codes(scales.size() * kIq4Run);
  active_table().quantize_levels(kLevels, units.x(), scales.size(), kIq4Run, stored.data(), codes.data());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    pack_iq4_nl(units.real(at, scales[i]), codes.data() + i * kIq4Run, blocks + at * 18);
  }
  keep_better(kNonlinear[0], kNonlinearEncoders[0], in, blocks);
}

void search_iq4_xs(const SearchedBlocks& in, std::uint8_t* blocks) {
  const MultiplesLayout layout{.run = kIq4Run, .least_multiple = -32, .codes = kSearch};
  MultiplesSearch search(layout, in);
  const std::vector<Multiples> found = search.find();
  const std::vector<std::uint8_t> codes = search.codes(found);
  for (std::size_t b = 0; b < found.size(); ++b) {
    pack_iq4_xs(search.real_d(b, found[b]), found[b].of_run.data(), codes.data() + b * 256,
                blocks + static_cast<std::int64_t>(b) * 136);
  }
  keep_better(kNonlinear[1], kNonlinearEncoders[1], in, blocks, qualities_of(found));
}

}  // namespace mq::gguf
