#include "kernels/make_matmul_table.hpp"
#include "kernels/matmul_reference.hpp"

namespace mq::kernels {
namespace {
struct Baseline {};
}  // namespace

extern const MatmulTable kReferenceMatmul;
constinit const MatmulTable kReferenceMatmul = make_matmul_table<ReferenceMatmul<Baseline>>("reference", 0);

}  // namespace mq::kernels
