// Lower error in the K-quants with signed scales.
#include <algorithm>

#include "src/codecs/gguf_k_blocks.hpp"
#include "src/codecs/gguf_multiples.hpp"
#include "src/search.hpp"

namespace mq::gguf {
namespace {

void search(int bits, int least_multiple, const SearchedBlocks& in, std::size_t type,
            void (*pack)(const SignedBlock&, std::uint8_t*), std::uint8_t* blocks) {
  const MultiplesLayout layout{
      .run = 16, .least_multiple = least_multiple, .codes = affine_search({.bits = bits, .range = RangeKind::Signed})};
  MultiplesSearch search(layout, in);
  const std::vector<Multiples> found = search.find();
  const std::vector<std::uint8_t> codes = search.codes(found);
  const std::int64_t bytes = info(kSuper[type].dtype).block_bytes;
  for (std::size_t b = 0; b < found.size(); ++b) {
    SignedBlock out{.d = search.real_d(b, found[b]), .scales = found[b].of_run, .codes = {}};
    std::copy_n(codes.data() + b * kSuperNumel, kSuperNumel, out.codes.data());
    pack(out, blocks + static_cast<std::int64_t>(b) * bytes);
  }
  keep_better(kSuper[type], kSuperEncoders[type], in, blocks, qualities_of(found));
}

}  // namespace

void search_q3_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search(3, -32, in, 1, pack_q3_k, blocks);
}

void search_q6_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search(6, -128, in, 4, pack_q6_k, blocks);
}

}  // namespace mq::gguf
