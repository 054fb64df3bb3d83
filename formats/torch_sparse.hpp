// PyTorch's sparse tensors: their parts, from the arguments of _rebuild_sparse_tensor(layout, data).
#pragma once

#include <memory>
#include <string_view>

#include "formats/sparse_elements.hpp"
#include "formats/torch_storages.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {

struct SparseTensor {
  DType dtype = DType::Float32;
  Shape shape;
  std::shared_ptr<const ElementSource> elements;
};

// Layouts COO, CSR, CSC, BSR and BSC, without batch dimensions.
// Throws: Corrupt (parts that do not fit each other), Unsupported (another layout, batches), Limit.
SparseTensor sparse_tensor(const Values& values, const TensorCall& call, std::string_view name, Storages& storages,
                           bool big_endian);

}  // namespace mq::formats::torch
