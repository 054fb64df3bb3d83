// Instruction sets of the kernels.
#pragma once

#include <string_view>
#include <vector>

namespace mq {

// Name of the kernel table in use: "reference", "avx2", "avx512bw", "neon". Decided at the first call: the one named by
// the environment variable MQ_FORCE_ISA, else the best that CPU and operating system support.
// Throws: Usage if MQ_FORCE_ISA names a table that is unknown or that this machine cannot run.
std::string_view active_isa();

// Every such table this machine can run, best first. Products have more of them: active_matmul_isa() in mq/matmul.hpp.
std::vector<std::string_view> available_isas();

}  // namespace mq
