// AVX-512 VNNI: vpdpbusd multiplies unsigned codes by signed activations and adds four products to each lane, exactly.
#include "kernels/cpu_features.hpp"
#include "kernels/isa/avx512_matmul.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct Avx512Vnni : Avx512Vectors {
  using Codes = __m512i;
  using Quad = __m512i;
  static constexpr std::int32_t kCodeBias8 = 0;

  static Codes codes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static void nibbles(const std::uint8_t* p, Codes& first, Codes& second) {
    const __m512i both = _mm512_loadu_si512(p);
    const __m512i low = _mm512_set1_epi8(15);
    first = _mm512_and_si512(both, low);
    second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
  }
  static Quad quad(const std::int8_t* p) { return _mm512_set1_epi32(four_bytes(p)); }
  // As the instruction itself: for the intrinsic GCC 12 copies the sums between registers until they no longer fit.
  static Ints dot(Ints sum, Codes u, Quad x) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(x));
    return sum;
  }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) { return dot(sum, u, x); }
};

}  // namespace

extern const MatmulTable kAvx512VnniMatmul;
constinit const MatmulTable kAvx512VnniMatmul = make_matmul_table<Matmul<Avx512Vnni>>(
    "avx512vnni", kAvx2 | kFma | kF16c | kBmi | kPclmul | kAvx512f | kAvx512bw | kAvx512vl | kAvx512dq | kAvx512Vnni);

}  // namespace mq::kernels
