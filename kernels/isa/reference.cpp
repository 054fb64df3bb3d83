#include "kernels/reference.hpp"
#include "kernels/make_table.hpp"

namespace mq::kernels {
namespace {
struct Baseline {};
}  // namespace

extern const KernelTable kReferenceKernels;
constinit const KernelTable kReferenceKernels = make_table<Reference<Baseline>>("reference", 0);

}  // namespace mq::kernels
