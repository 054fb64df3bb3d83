// mq-convert with a kernel that gives wrong codes, for the test of what selftest says then: this selftest() takes the
// place of the library's.
#include "kernels/dispatch.hpp"
#include "src/selftest.hpp"

namespace mq {
namespace {

const kernels::KernelTable& reference() {
  return *kernels::available_kernels().back();
}

// One bit, and only where runs are as long as a vector.
void wrong_codes(const float* x, std::size_t rows, std::size_t run, const float* inv_scale, const float* zero_point,
                 float qmin, float qmax, std::uint8_t* q) noexcept {
  reference().quantize_8(x, rows, run, inv_scale, zero_point, qmin, qmax, q);
  if (run == 64) q[63] ^= 1;
}

}  // namespace

SelftestReport selftest(Executor& executor) {
  kernels::KernelTable wrong = reference();
  wrong.name = "wrong";
  wrong.quantize_8 = wrong_codes;
  kernels::MatmulTable products = *kernels::available_matmul_kernels().back();
  products.name = "wrong";
  const kernels::KernelTable* const tables[] = {&wrong, &reference()};
  const kernels::MatmulTable* const product_tables[] = {&products, kernels::available_matmul_kernels().back()};
  return detail::selftest_of(tables, product_tables, executor);
}

}  // namespace mq
