// What mq-bench measures: each registers its rows with Google Benchmark.
#pragma once

#include "bench/options.hpp"

namespace mq::bench {

// Every kernel of every instruction set this machine can run, from L1, L2 and memory, one thread. Rows are named
// op/encoding/shape/isa. bytes_per_second counts the float side (the input where there is none), and pct_of_roof
// compares with a loop that only moves the same values and codes (bench/roofline.hpp).
void register_kernels(const Options& options);

// Whole encodings as quantize() runs them: range, search, codes and blocks. Rows encoding/SPEC,EFFORT/l2/ISA, one
// thread: half a megabyte of normal weights, with the kernel table in use. bytes_per_second counts the weights as
// float32. Throws: Usage as MQ_FORCE_ISA has it.
void register_encodings(const Options& options);

// Products of activations and packed weights, every instruction set this machine can run, one thread (-tN: N). Rows are
// named matmul/encoding/shape/isa. pct_of_peak compares GOP/s, of 2 m n k operations, with the widest dot product
// instruction of this machine (floats: fused multiply-add) and nothing else, measured in the same run; weight_GB/s with
// pct_of_read the weights with a loop that only reads as many bytes. What n = 16 takes is nearly all for quantizing and
// packing activations. cold: the weights come from memory, several copies in turn; else they are the same each time.
// Where an ISA would stand, "onednn", "openblas-f32" and "eigen-f32" are those of bench/peers.hpp.
void register_products(const Options& options);

}  // namespace mq::bench
