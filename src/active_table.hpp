// The kernel table in use, or the error that says why there is none.
#pragma once

#include "kernels/kernel_table.hpp"

namespace mq {

// Throws: Usage if MQ_FORCE_ISA names a table that is unknown or that this machine cannot run.
const kernels::KernelTable& active_table();

}  // namespace mq
