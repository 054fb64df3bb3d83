#include "bench/peak.hpp"

#include <algorithm>
#include <cstdint>

#include "bench/roofline.hpp"
#include "kernels/cpu_features.hpp"

namespace mq::bench {
namespace {

constexpr int kSteps = 1 << 18;

// The best of passes of kSteps steps.
double measure(double operations_per_step, void (*pass)()) {
  const double end = cpu_seconds() + 0.3;
  double best = 1e9;
  while (cpu_seconds() < end) {
    const double begin = cpu_seconds();
    pass();
    best = std::min(best, cpu_seconds() - begin);
  }
  return operations_per_step * kSteps / best;
}

#if defined(__x86_64__)

// Twelve sums that do not wait for each other, in registers 0 to 11 of the width that r names.
#define MQ_TWELVE(instruction, r)                                                                                \
  for (int i = 0; i < kSteps; ++i) {                                                                             \
    asm volatile(instruction                                                                                     \
                 " %%" r "15, %%" r "14, %%" r "0\n" instruction " %%" r "15, %%" r "14, %%" r "1\n" instruction \
                 " %%" r "15, %%" r "14, %%" r "2\n" instruction " %%" r "15, %%" r "14, %%" r "3\n" instruction \
                 " %%" r "15, %%" r "14, %%" r "4\n" instruction " %%" r "15, %%" r "14, %%" r "5\n" instruction \
                 " %%" r "15, %%" r "14, %%" r "6\n" instruction " %%" r "15, %%" r "14, %%" r "7\n" instruction \
                 " %%" r "15, %%" r "14, %%" r "8\n" instruction " %%" r "15, %%" r "14, %%" r "9\n" instruction \
                 " %%" r "15, %%" r "14, %%" r "10\n" instruction " %%" r "15, %%" r "14, %%" r "11\n" ::        \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",  \
                       "xmm11");                                                                                 \
  }

// Registers 14 and 15 hold what they hold: sums of integers take as long whatever they are, those of floats unless they
// are subnormal.
void dot_512() {
  MQ_TWELVE("vpdpbusd", "zmm")
}
void dot_256() {
  MQ_TWELVE("%{vex%} vpdpbusd", "ymm")
}
void pairs_256() {
  MQ_TWELVE("vpmaddwd", "ymm")
}
void fused_512() {
  asm volatile("vxorps %%xmm14, %%xmm14, %%xmm14\nvxorps %%xmm15, %%xmm15, %%xmm15\n" ::: "xmm14", "xmm15");
  MQ_TWELVE("vfmadd231ps", "zmm")
}
void fused_256() {
  asm volatile("vxorps %%xmm14, %%xmm14, %%xmm14\nvxorps %%xmm15, %%xmm15, %%xmm15\n" ::: "xmm14", "xmm15");
  MQ_TWELVE("vfmadd231ps", "ymm")
}
#undef MQ_TWELVE

#endif

}  // namespace

double peak_dot_operations() {
  static const double kPeak = [] {
#if defined(__x86_64__)
    const std::uint32_t features = kernels::detect_cpu_features();
    if ((features & kernels::kAvx512Vnni) != 0) return measure(12 * 128, &dot_512);
    if ((features & kernels::kAvxVnni) != 0) return measure(12 * 64, &dot_256);
    if ((features & kernels::kAvx2) != 0) return measure(12 * 32, &pairs_256);
#endif
    return 0.0;
  }();
  return kPeak;
}

double peak_float_operations() {
  static const double kPeak = [] {
#if defined(__x86_64__)
    const std::uint32_t features = kernels::detect_cpu_features();
    if ((features & kernels::kAvx512f) != 0) return measure(12 * 32, &fused_512);
    if ((features & kernels::kFma) != 0) return measure(12 * 16, &fused_256);
#endif
    return 0.0;
  }();
  return kPeak;
}

}  // namespace mq::bench
