// What this machine's arithmetic lets any product reach, measured beside the products that are judged by it.
#pragma once

namespace mq::bench {

// Operations per second (a multiplication and an addition are two) of one thread that does nothing but the widest dot
// product of bytes that this CPU has, and nothing but the widest fused multiply-add of floats; the best of many passes,
// measured once. 0 where this is not known.
double peak_dot_operations();
double peak_float_operations();

}  // namespace mq::bench
