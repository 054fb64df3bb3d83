// Whether the kernels that this machine can run give the bits of the reference, and what this machine is: the first
// thing to run on a new one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mq/executor.hpp"

namespace mq {

// The kernels of one instruction set against the reference, on inputs that are the same everywhere: lengths around
// every vector width, addresses that are not aligned, the ends of every type, ties, NaN where it is allowed.
struct SelftestIsa {
  std::string name;                 // as in active_isa() and active_matmul_isa()
  std::int64_t kernel_checks = 0;   // calls: codecs, searches, conversions, checksums; 0 if it has none of its own
  std::int64_t product_checks = 0;  // calls of the kernels of mq/matmul.hpp
  std::int64_t differences = 0;     // calls that gave other bits, or wrote where they should not
  std::vector<std::string> failures = {};  // the first of each kernel: "range of 5 x 33, offset 1: element 7 of 165"
};

// Bytes per second between memory and processors, beyond the caches; 0 if there was not the memory to measure it.
struct MemoryBandwidth {
  double read_one = 0;  // one thread
  double copy_one = 0;  // one thread, read and written bytes together
  double read_all = 0;  // all threads of the executor
};

struct SelftestReport {
  std::string cpu;                 // as the operating system calls it; empty if it does not
  int processors = 1;              // of the machine
  int usable_processors = 1;       // by this process
  std::string isa;                 // active_isa()
  std::string matmul_isa;          // active_matmul_isa()
  std::vector<SelftestIsa> isas;   // best first, without the reference
  int threads = 1;                 // of the executor
  MemoryBandwidth bandwidth = {};  // over 128 MiB

  bool passed() const noexcept;
};

// Runs all checks on the calling thread, then measures for some tenths of a second. Differences are not errors here.
// Throws: Usage as active_isa() does.
SelftestReport selftest(Executor& executor = serial_executor());

}  // namespace mq
