#include "kernels/dispatch.hpp"

#include <array>
#include <cstdlib>

#include "kernels/cpu_features.hpp"

// The instruction sets of this build, best first: MQ_ISA(X) stands for the table kXKernels of a file in kernels/isa. To
// add one, name it here.
#if defined(MQ_PORTABLE)
#define MQ_ISAS
#elif defined(__x86_64__)
#define MQ_ISAS MQ_ISA(Avx512bw) MQ_ISA(Avx2)
#elif defined(__aarch64__)
#define MQ_ISAS MQ_ISA(Neon)
#else
#define MQ_ISAS
#endif

namespace mq::kernels {

#define MQ_ISA(Name) extern const KernelTable k##Name##Kernels;
MQ_ISAS MQ_ISA(Reference)
#undef MQ_ISA

    namespace {

#define MQ_ISA(Name) &k##Name##Kernels,
  constexpr std::array kCompiled = {MQ_ISAS MQ_ISA(Reference)};
#undef MQ_ISA

  bool can_run(const KernelTable& table, std::uint32_t features) {
    return (table.required_features & ~features) == 0;
  }

  struct Available {
    std::array<const KernelTable*, kCompiled.size()> tables = {};
    std::size_t count = 0;
  };

  Available find_available() {
    const std::uint32_t features = detect_cpu_features();
    Available found;
    for (const KernelTable* table : kCompiled) {
      if (can_run(*table, features)) found.tables[found.count++] = table;
    }
    return found;
  }

  std::string names_of_runnable(std::uint32_t features) {
    std::string names;
    for (const KernelTable* table : kCompiled) {
      if (!can_run(*table, features)) continue;
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

std::span<const KernelTable* const> available_kernels() noexcept {
  static const Available kFound = find_available();
  return {kFound.tables.data(), kFound.count};
}

KernelChoice choose_kernels(std::string_view forced_name, std::uint32_t features) {
  bool known = false;
  for (const KernelTable* table : kCompiled) {
    if (!forced_name.empty() && forced_name != table->name) continue;
    if (can_run(*table, features)) return {table, {}};
    known = true;
  }
  const std::string why = known ? " is not supported by this machine" : " is not in this build";
  return {nullptr,
          "MQ_FORCE_ISA: " + std::string(forced_name) + why + ", expected one of " + names_of_runnable(features)};
}

const KernelTable* active_kernels() noexcept {
  return choice().table;
}

std::string_view forced_isa_problem() noexcept {
  return choice().problem;
}

}  // namespace mq::kernels
