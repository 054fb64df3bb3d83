// Which kernel tables this build has, which of them this machine can run, and the one in use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/kernel_table.hpp"
#include "kernels/matmul_table.hpp"

namespace mq::kernels {

// Every table compiled into this build, best first; "reference" is last and always there.
std::span<const KernelTable* const> compiled_kernels() noexcept;

// Those of compiled_kernels() whose features this CPU and its operating system provide, best first.
std::span<const KernelTable* const> available_kernels() noexcept;

// The same of the tables of products. Each name of compiled_kernels() is also one of theirs.
std::span<const MatmulTable* const> compiled_matmul_kernels() noexcept;
std::span<const MatmulTable* const> available_matmul_kernels() noexcept;

// The table in use: the one named by the environment variable MQ_FORCE_ISA, else the best available. Decided once.
// A name that only products have stands for the best table that needs no more than theirs. A name that is unknown or
// that this machine cannot run leaves the pointers null: forced_isa_problem() says why.
const KernelTable* active_kernels() noexcept;
const MatmulTable* active_matmul_kernels() noexcept;

// Empty, or the sentence that explains why active_kernels() is null.
std::string_view forced_isa_problem() noexcept;

struct KernelChoice {
  const KernelTable* table;  // null if there is a problem
  const MatmulTable* matmul;
  std::string problem;
};

// The rule behind active_kernels(), for a given set of CPU features; an empty name forces nothing.
KernelChoice choose_kernels(std::string_view forced_name, std::uint32_t features);

}  // namespace mq::kernels
