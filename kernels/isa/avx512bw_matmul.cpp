// AVX-512 without VNNI: bytes are widened to 16 bits, whose products vpmaddwd adds in pairs. vpmaddubsw takes the
// bytes as they are but saturates beyond 16 bits: with codes of 4 bits, 2 * 15 * 128, that cannot happen.
#include "kernels/cpu_features.hpp"
#include "kernels/isa/avx512_matmul.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct Avx512Bytes : Avx512Vectors {
  // Bytes 0 and 2 of each lane as 16 bits, and bytes 1 and 3; of activations the bytes too.
  struct Codes {
    __m512i even, odd;
  };
  struct Quad {
    __m512i even, odd, bytes;
  };
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kGroupPanels = 2;
  static constexpr std::int32_t kCodeBias8 = 0;

  static Codes codes(const std::uint8_t* p) {
    const __m512i all = _mm512_loadu_si512(p);
    return {_mm512_and_si512(all, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(all, 8)};
  }
  static void nibbles(const std::uint8_t* p, Codes& first, Codes& second) {
    const __m512i both = _mm512_loadu_si512(p);
    const __m512i low = _mm512_set1_epi8(15);
    first.even = _mm512_and_si512(both, low);
    second.even = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
  }
  static Quad quad(const std::int8_t* p) {
    const __m512i all = _mm512_set1_epi32(four_bytes(p));
    return {_mm512_srai_epi16(_mm512_slli_epi16(all, 8), 8), _mm512_srai_epi16(all, 8), all};
  }
  static Ints dot(Ints sum, Codes u, Quad x) {
    return add(sum, add(_mm512_madd_epi16(u.even, x.even), _mm512_madd_epi16(u.odd, x.odd)));
  }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) {
    return add(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(u.even, x.bytes), _mm512_set1_epi16(1)));
  }
  using Avx512Vectors::add;
};

}  // namespace

extern const MatmulTable kAvx512bwMatmul;
constinit const MatmulTable kAvx512bwMatmul = make_matmul_table<Matmul<Avx512Bytes>>(
    "avx512bw", kAvx2 | kFma | kF16c | kBmi | kPclmul | kAvx512f | kAvx512bw | kAvx512vl | kAvx512dq);

}  // namespace mq::kernels
