// Armv8.6's matrix products: smmla multiplies two rows of eight signed bytes by two columns of as many and adds the
// four sums, exactly. A single row takes the dot product.
#include "kernels/cpu_features.hpp"
#include "kernels/isa/neon_matmul.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct NeonMm : NeonVectors {
  static Ints dot(Ints sum, Codes u, Quad x) { return vdotq_s32(sum, u, x); }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) { return vdotq_s32(sum, u, x); }

  // Of two rows with columns 0 and 1, and with columns 2 and 3: two of the first row, then two of the second.
  struct PairSums {
    Ints first, second;
  };

  // Eight codes of each of two rows. `other`: from k 0..3 of a row to k 4..7.
  static Quad octets(const std::int8_t* a, const std::int8_t* b, std::size_t other) {
    const std::int8_t* const quads[4] = {a, a + other, b, b + other};
    std::int32_t words[4];
    for (std::size_t i = 0; i < 4; ++i) __builtin_memcpy(words + i, quads[i], 4);
    return vreinterpretq_s8_s32(vld1q_s32(words));
  }

  // low, high: k 0..3 and k 4..7 of four columns.
  static void add_products(PairSums& sums, Codes low, Codes high, Quad rows) {
    const int32x4_t l = vreinterpretq_s32_s8(low), h = vreinterpretq_s32_s8(high);
    sums.first = vmmlaq_s32(sums.first, rows, vreinterpretq_s8_s32(vzip1q_s32(l, h)));
    sums.second = vmmlaq_s32(sums.second, rows, vreinterpretq_s8_s32(vzip2q_s32(l, h)));
  }

  static Ints row_of(const PairSums& sums, std::size_t second) {
    const int64x2_t a = vreinterpretq_s64_s32(sums.first), b = vreinterpretq_s64_s32(sums.second);
    return vreinterpretq_s32_s64(second != 0 ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
  }
};

}  // namespace

extern const MatmulTable kNeonMmMatmul;
constinit const MatmulTable kNeonMmMatmul =
    make_matmul_table<Matmul<NeonMm>>("neonmm", kNeon | kNeonDotprod | kNeonI8mm);

}  // namespace mq::kernels
