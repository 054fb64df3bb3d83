#include "kernels/dispatch.hpp"

#include <array>
#include <cstdlib>

#include "kernels/cpu_features.hpp"

// The instruction sets of this build, best first: MQ_ISA(X) stands for the table kXKernels of a file in kernels/isa, and
// in the second list for the table of products kXMatmul. To add one, name it here.
#if defined(MQ_PORTABLE)
#define MQ_ISAS
#define MQ_MATMUL_ISAS
#elif defined(__x86_64__)
#define MQ_ISAS MQ_ISA(Avx512bw) MQ_ISA(Avx2)
#define MQ_MATMUL_ISAS MQ_ISA(Avx512Vnni) MQ_ISA(AvxVnni) MQ_ISA(Avx512bw) MQ_ISA(Avx2)
#elif defined(__aarch64__)
#define MQ_ISAS MQ_ISA(Neon)
#define MQ_MATMUL_ISAS MQ_ISA(NeonMm) MQ_ISA(NeonDot) MQ_ISA(Neon)
#else
#define MQ_ISAS
#define MQ_MATMUL_ISAS
#endif

namespace mq::kernels {

#define MQ_ISA(Name) extern const KernelTable k##Name##Kernels;
MQ_ISAS MQ_ISA(Reference)
#undef MQ_ISA
#define MQ_ISA(Name) extern const MatmulTable k##Name##Matmul;
    MQ_MATMUL_ISAS MQ_ISA(Reference)
#undef MQ_ISA

        namespace {

#define MQ_ISA(Name) &k##Name##Kernels,
  constexpr std::array kCompiled = {MQ_ISAS MQ_ISA(Reference)};
#undef MQ_ISA
#define MQ_ISA(Name) &k##Name##Matmul,
  constexpr std::array kCompiledMatmul = {MQ_MATMUL_ISAS MQ_ISA(Reference)};
#undef MQ_ISA

  bool can_run(std::uint32_t required, std::uint32_t features) {
    return (required & ~features) == 0;
  }

  // Those of a list that the features allow.
  template <class Table, std::size_t kCount>
  struct Available {
    std::array<const Table*, kCount> tables = {};
    std::size_t count = 0;

    explicit Available(const std::array<const Table*, kCount>& compiled) {
      const std::uint32_t features = detect_cpu_features();
      for (const Table* table : compiled) {
        if (can_run(table->required_features, features)) tables[count++] = table;
      }
    }
    std::span<const Table* const> span() const { return {tables.data(), count}; }
  };

  // The first that the features allow, of that name if one is given.
  template <class Table, std::size_t kCount>
  const Table* best(const std::array<const Table*, kCount>& compiled, std::string_view name, std::uint32_t features) {
    for (const Table* table : compiled) {
      if (!name.empty() && name != table->name) continue;
      if (can_run(table->required_features, features)) return table;
    }
    return nullptr;
  }

  // The tables of products have all names.
  std::string names_of_runnable(std::uint32_t features) {
    std::string names;
    for (const MatmulTable* table : kCompiledMatmul) {
      if (!can_run(table->required_features, features)) continue;
      if (!names.empty()) names += ", ";
      names += table->name;
    }
    return names;
  }

  // Never destroyed: threads may still work while the program exits.
  const KernelChoice& choice() {
    static const KernelChoice& kChoice = *[] {
      const char* forced = std::getenv("MQ_FORCE_ISA");
      return new KernelChoice(choose_kernels(forced != nullptr ? forced : "", detect_cpu_features()));
    }();
    return kChoice;
  }

}  // namespace

std::span<const KernelTable* const> compiled_kernels() noexcept {
  return kCompiled;
}
std::span<const MatmulTable* const> compiled_matmul_kernels() noexcept {
  return kCompiledMatmul;
}

std::span<const KernelTable* const> available_kernels() noexcept {
  static const Available kFound(kCompiled);
  return kFound.span();
}
std::span<const MatmulTable* const> available_matmul_kernels() noexcept {
  static const Available kFound(kCompiledMatmul);
  return kFound.span();
}

KernelChoice choose_kernels(std::string_view forced_name, std::uint32_t features) {
  if (const MatmulTable* matmul = best(kCompiledMatmul, forced_name, features)) {
    if (forced_name.empty()) return {best(kCompiled, {}, features), matmul, {}};
    const KernelTable* same = best(kCompiled, forced_name, features);
    return {same != nullptr ? same : best(kCompiled, {}, matmul->required_features), matmul, {}};
  }
  const bool known = best(kCompiledMatmul, forced_name, ~0u) != nullptr;
  const std::string why = known ? " is not supported by this machine" : " is not in this build";
  return {nullptr, nullptr,
          "MQ_FORCE_ISA: " + std::string(forced_name) + why + ", expected one of " + names_of_runnable(features)};
}

const KernelTable* active_kernels() noexcept {
  return choice().table;
}
const MatmulTable* active_matmul_kernels() noexcept {
  return choice().matmul;
}

std::string_view forced_isa_problem() noexcept {
  return choice().problem;
}

}  // namespace mq::kernels
