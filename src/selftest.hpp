// The self-test over given tables: selftest() gives it those of the machine.
#pragma once

#include <span>

#include "kernels/kernel_table.hpp"
#include "kernels/matmul_table.hpp"
#include "mq/selftest.hpp"

namespace mq::detail {

// Tables, best first; the reference is the last of each.
using KernelTables = std::span<const kernels::KernelTable* const>;
using MatmulTables = std::span<const kernels::MatmulTable* const>;

// One row for each name but the reference, in the order of the products, whose tables have all names.
std::vector<SelftestIsa> check_tables(KernelTables tables, MatmulTables products);

// The machine, and the rows of check_tables().
SelftestReport selftest_of(KernelTables tables, MatmulTables products, Executor& executor);

MemoryBandwidth measure_bandwidth(Executor& executor);

}  // namespace mq::detail
