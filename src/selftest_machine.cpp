// The self-test of this machine's tables. By itself, so that a program may run the test of others instead.
#include "kernels/dispatch.hpp"
#include "src/selftest.hpp"

namespace mq {

SelftestReport selftest(Executor& executor) {
  return detail::selftest_of(kernels::available_kernels(), kernels::available_matmul_kernels(), executor);
}

}  // namespace mq
