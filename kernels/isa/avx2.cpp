#include "kernels/isa/avx2_lanes.hpp"

#include "kernels/cpu_features.hpp"
#include "kernels/make_table.hpp"
#include "kernels/vector_ops.hpp"

namespace mq::kernels {

extern const KernelTable kAvx2Kernels;
constinit const KernelTable kAvx2Kernels = make_table<VectorOps<Avx2>>("avx2", kAvx2 | kFma | kF16c | kBmi | kPclmul);

}  // namespace mq::kernels
