#include "kernels/isa/neon_lanes.hpp"

#include "kernels/cpu_features.hpp"
#include "kernels/make_table.hpp"
#include "kernels/vector_ops.hpp"

namespace mq::kernels {

extern const KernelTable kNeonKernels;
constinit const KernelTable kNeonKernels = make_table<VectorOps<Neon>>("neon", kNeon);

}  // namespace mq::kernels
