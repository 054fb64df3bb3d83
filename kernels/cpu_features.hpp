// What this CPU and its operating system let a program use, as bits that a kernel table can require.
#pragma once

#include <cstdint>

namespace mq::kernels {

enum CpuFeature : std::uint32_t {
  kF16c = 1u << 0,
  kAvx2 = 1u << 1,  // with AVX, and the operating system saves the 256-bit registers
  kBmi = 1u << 2,   // BMI1 and BMI2
  kPclmul = 1u << 3,
  kAvx512f = 1u << 4,  // and the operating system saves the 512-bit and mask registers
  kAvx512bw = 1u << 5,
  kAvx512vl = 1u << 6,
  kAvx512dq = 1u << 7,
  kNeon = 1u << 8,
  kFma = 1u << 9,
  kAvx512Vnni = 1u << 10,
  kAvxVnni = 1u << 11,
  kNeonDotprod = 1u << 12,
  kNeonI8mm = 1u << 13,
};

// Asked of the CPU once per call; 0 on an architecture without optional features worth knowing.
std::uint32_t detect_cpu_features() noexcept;

}  // namespace mq::kernels
