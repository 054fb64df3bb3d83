// Tables of levels for the kernel tests: one with and one without a sign bit.
#pragma once

#include "kernels/kernel_table.hpp"

namespace kernel_test {

// E2M1; a tie between two codes goes to the even one.
inline constexpr mq::kernels::Levels kE2m1 = {
    .value = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6},
    .middle = {0.25f, 0x1.7ffffep-1f, 1.25f, 0x1.bffffep0f, 2.5f, 0x1.bffffep1f, 5, __builtin_inff(), __builtin_inff(),
               __builtin_inff(), __builtin_inff(), __builtin_inff(), __builtin_inff(), __builtin_inff(),
               __builtin_inff()},
    .sign_magnitude = true};

inline constexpr mq::kernels::Levels kUneven = {
    .value = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
    .middle = {-115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f, 7, 19, 31.5f, 45.5f, 61, 79, 101},
    .sign_magnitude = false};

}  // namespace kernel_test
