// From the pickle of a torch.save archive to a list of tensors that can be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/strided_read.hpp"
#include "formats/torch_archive.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats::torch {

// Where the bytes of a tensor are.
struct Place {
  const ZipRecord* record = nullptr;
  StridedView view;  // in elements of the record; shape and strides are empty if it is contiguous
  bool contiguous = false;
};

struct ArchiveContents {
  std::vector<TensorInfo> tensors;
  std::vector<Place> places;  // one for each tensor
  std::vector<LeftOut> left_out;
  std::uint64_t visits = 0;  // of values of the pickle: how much work it was
};

// Reads and interprets the pickle. The rules for an empty root are those of
// formats/torch_select.hpp, the names those of formats/torch_flatten.hpp.
// Throws: Corrupt, Unsupported, Limit with the offset in the pickle and the tensor; Usage for a root that is not there.
ArchiveContents read_contents(const Archive& archive, const OpenOptions& options);

}  // namespace mq::formats::torch
