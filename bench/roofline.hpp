// What this machine's memory lets any loop reach, measured beside the loops that are judged by it.
#pragma once

#include <cstddef>

namespace mq::bench {

// The time that this thread has had on a CPU: what a neighbour takes is no one's bandwidth.
double cpu_seconds();

// Seconds that a pass takes which reads in_bytes from one buffer and writes out_bytes (0: none) to another in step and
// does nothing else, on one thread with the widest vectors this CPU has; the buffers stay the same from pass to
// pass, so small ones come from a cache. One of the two numbers is a multiple of the other, both of 1 KiB.
// Measured once per pair, the best of many passes.
double roof_seconds(std::size_t in_bytes, std::size_t out_bytes);

}  // namespace mq::bench
