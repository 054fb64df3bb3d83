// AVX-VNNI: vpdpbusd in 256 bits, for processors without AVX-512.
#include "kernels/cpu_features.hpp"
#include "kernels/isa/avx2_matmul.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct AvxVnni : Avx2Vectors {
  using Codes = __m256i;
  using Quad = __m256i;
  static constexpr std::int32_t kCodeBias8 = 0;

  static Codes codes(const std::uint8_t* p) { return bytes(p); }
  static void nibbles(const std::uint8_t* p, Codes& first, Codes& second) {
    const __m256i both = bytes(p);
    const __m256i low = _mm256_set1_epi8(15);
    first = _mm256_and_si256(both, low);
    second = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
  }
  static Quad quad(const std::int8_t* p) { return four_bytes(p); }
  // As the instruction itself: for the intrinsic GCC 12 copies the sums between registers.
  static Ints dot(Ints sum, Codes u, Quad x) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(u), "x"(x));
    return sum;
  }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) { return dot(sum, u, x); }
};

}  // namespace

extern const MatmulTable kAvxVnniMatmul;
constinit const MatmulTable kAvxVnniMatmul =
    make_matmul_table<Matmul<AvxVnni>>("avxvnni", kAvx2 | kFma | kF16c | kBmi | kPclmul | kAvxVnni);

}  // namespace mq::kernels
