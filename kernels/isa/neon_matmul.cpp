// AArch64 without the dot product: bytes multiplied to 16 bits, added in pairs to 32.
#include "kernels/isa/neon_matmul.hpp"

#include "kernels/cpu_features.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct NeonBytes : NeonVectors {
  static Ints dot(Ints sum, Codes u, Quad x) {
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(u), vget_low_s8(x)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(u, x));
    return vaddq_s32(sum, vpaddq_s32(low, high));
  }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) { return dot(sum, u, x); }
};

}  // namespace

extern const MatmulTable kNeonMatmul;
constinit const MatmulTable kNeonMatmul = make_matmul_table<Matmul<NeonBytes>>("neon", kNeon);

}  // namespace mq::kernels
