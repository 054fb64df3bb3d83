// Armv8.2's dot product: sdot adds four products of signed bytes to each lane, exactly.
#include "kernels/cpu_features.hpp"
#include "kernels/isa/neon_matmul.hpp"
#include "kernels/make_matmul_table.hpp"

namespace mq::kernels {
namespace {

struct NeonDot : NeonVectors {
  static Ints dot(Ints sum, Codes u, Quad x) { return vdotq_s32(sum, u, x); }
  static Ints dot_nibbles(Ints sum, Codes u, Quad x) { return vdotq_s32(sum, u, x); }
};

}  // namespace

extern const MatmulTable kNeonDotMatmul;
constinit const MatmulTable kNeonDotMatmul = make_matmul_table<Matmul<NeonDot>>("neondot", kNeon | kNeonDotprod);

}  // namespace mq::kernels
