// AVX2: bytes are widened to 16 bits, whose products vpmaddwd adds in pairs. vpmaddubsw takes the bytes as they are but
// saturates beyond 16 bits: with codes of 4 bits, 2 * 15 * 128, that cannot happen.
#include "kernels/isa/avx2_matmul.hpp"

#include "kernels/cpu_features.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct Avx2Bytes : Avx2Vectors {
  // Bytes 0 and 2 of each lane as 16 bits, and bytes 1 and 3; of activations the bytes too.
  struct Codes {
    __m256i even, odd;
  };
  struct Quad {
    __m256i even, odd, bytes;
  };
  static constexpr std::int32_t kCodeBias8 = 0;

  static Codes codes(const std::uint8_t* p) {
    const __m256i all = bytes(p);
    return {_mm256_and_si256(all, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(all, 8)};
  }
  static void nibbles(const std::uint8_t* p, Codes& first, Codes& second) {
    const __m256i both = bytes(p);
    const __m256i low = _mm256_set1_epi8(15);
    first.even = _mm256_and_si256(both, low);
    second.even = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
  }
  static Quad quad(const std::int8_t* p) {
    const __m256i all = four_bytes(p);
    return {_mm256_srai_epi16(_mm256_slli_epi16(all, 8), 8), _mm256_srai_epi16(all, 8), all};
  }
  static Ints dot(Ints sum, Codes u, Quad x) {
    return add(sum, add(_mm256_madd_epi16(u.even, x.even), _mm256_madd_epi16(u.odd, x.odd)));
  }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) {
    return add(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u.even, x.bytes), _mm256_set1_epi16(1)));
  }
  using Avx2Vectors::add;
};

}  // namespace

extern const MatmulTable kAvx2Matmul;
constinit const MatmulTable kAvx2Matmul =
    make_matmul_table<Matmul<Avx2Bytes>>("avx2", kAvx2 | kFma | kF16c | kBmi | kPclmul);

}  // namespace mq::kernels
