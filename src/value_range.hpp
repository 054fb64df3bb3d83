// The smallest and largest value of a whole tensor.
#pragma once

#include "kernels/kernel_table.hpp"
#include "mq/checkpoint.hpp"
#include "mq/source.hpp"

namespace mq {

// Reads the tensor tile by tile; 0, 0 for one without elements. Values that are not finite are counted and left out.
// Throws: as MatrixReader.
kernels::Range value_range(const Checkpoint& checkpoint, const LogicalTensor& tensor);

}  // namespace mq
