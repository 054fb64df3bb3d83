#include "kernels/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace mq::kernels {

#if defined(__x86_64__)
namespace {

constexpr bool bit(std::uint32_t word, int index) {
  return (word >> index & 1) != 0;
}

// The register states that the operating system saves on a context switch. A CPU that has AVX-512 under a system that
// does not save it faults or, worse, mixes the registers of two programs.
std::uint32_t read_xcr0() noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

std::uint32_t detect_cpu_features() noexcept {
  constexpr std::uint32_t kYmmState = 0x06;
  constexpr std::uint32_t kZmmState = 0xe6;
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return 0;
  const bool has_avx = bit(ecx, 28);
  const bool has_xgetbv = bit(ecx, 27);
  const bool has_f16c = bit(ecx, 29);
  const bool has_fma = bit(ecx, 12);
  std::uint32_t found = 0;
  if (bit(ecx, 1)) found |= kPclmul;
  const std::uint32_t saved = has_xgetbv ? read_xcr0() : 0;
  if (!has_avx || (saved & kYmmState) != kYmmState) return found;
  if (has_f16c) found |= kF16c;
  if (has_fma) found |= kFma;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return found;
  if (bit(ebx, 5)) found |= kAvx2;
  if (bit(ebx, 3) && bit(ebx, 8)) found |= kBmi;
  const bool has_avx512_vnni = bit(ecx, 11);
  std::uint32_t eax1 = 0, ebx1 = 0, ecx1 = 0, edx1 = 0;
  if (eax >= 1 && __get_cpuid_count(7, 1, &eax1, &ebx1, &ecx1, &edx1) != 0 && bit(eax1, 4)) found |= kAvxVnni;
  if ((saved & kZmmState) != kZmmState || !bit(ebx, 16)) return found;
  found |= kAvx512f;
  if (bit(ebx, 17)) found |= kAvx512dq;
  if (bit(ebx, 30)) found |= kAvx512bw;
  if (bit(ebx, 31)) found |= kAvx512vl;
  if (has_avx512_vnni) found |= kAvx512Vnni;
  return found;
}

#elif defined(__aarch64__)

// Neon is part of the architecture's baseline.
std::uint32_t detect_cpu_features() noexcept {
  std::uint32_t found = kNeon;
#if defined(__linux__)
  constexpr unsigned long kHasDotprod = 1ul << 20;  // HWCAP_ASIMDDP
  constexpr unsigned long kHasI8mm = 1ul << 13;  // HWCAP2_I8MM
  if ((getauxval(AT_HWCAP) & kHasDotprod) != 0) found |= kNeonDotprod;
  if ((getauxval(AT_HWCAP2) & kHasI8mm) != 0) found |= kNeonI8mm;
#elif defined(__APPLE__)
  found |= kNeonDotprod;
#endif
  return found;
}

#else

std::uint32_t detect_cpu_features() noexcept {
  return 0;
}

#endif

}  // namespace mq::kernels
