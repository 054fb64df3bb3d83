// Whole encodings as mq::quantize() runs them: range, search, codes and blocks.
#pragma once

namespace mq::bench {

// Rows encoding/SPEC,EFFORT/l2/ISA, one thread: half a megabyte of normal weights, with the kernel table in use.
// bytes_per_second counts the weights as float32. Throws: Usage as MQ_FORCE_ISA has it.
void register_encodings();

}  // namespace mq::bench
