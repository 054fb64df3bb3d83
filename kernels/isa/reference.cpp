#include "kernels/reference.hpp"

#include "kernels/choose_candidate.hpp"
#include "kernels/digest.hpp"
#include "kernels/make_table.hpp"
#include "kernels/search.hpp"
#include "kernels/search_min.hpp"

namespace mq::kernels {
namespace {
struct Baseline {};
struct Operations : Reference<Baseline>,
                    Search<ScalarSearch<Baseline>>,
                    SearchMin<ScalarSearch<Baseline>>,
                    ChooseCandidate<ScalarSearch<Baseline>>,
                    Digest<Baseline> {};
}  // namespace

extern const KernelTable kReferenceKernels;
constinit const KernelTable kReferenceKernels = make_table<Operations>("reference", 0);

}  // namespace mq::kernels
