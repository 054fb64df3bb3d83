// Elementary functions from additions, multiplications and divisions alone: the same bits with every compiler, C
// library and instruction set. Errors are below 1 ulp. Special values as in IEEE 754 and C.
#pragma once

namespace mq::math {

double log2(double x) noexcept;
double log10(double x) noexcept;
double exp(double x) noexcept;
double pow(double x, double y) noexcept;

}  // namespace mq::math
