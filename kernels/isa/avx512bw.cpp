#include "kernels/isa/avx512bw_lanes.hpp"

#include "kernels/cpu_features.hpp"
#include "kernels/make_table.hpp"
#include "kernels/vector_ops.hpp"

namespace mq::kernels {

extern const KernelTable kAvx512bwKernels;
constinit const KernelTable kAvx512bwKernels = make_table<VectorOps<Avx512bw>>(
    "avx512bw", kAvx2 | kFma | kF16c | kBmi | kPclmul | kAvx512f | kAvx512bw | kAvx512vl | kAvx512dq);

}  // namespace mq::kernels
