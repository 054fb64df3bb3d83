// Checkpoints without files: tensors of a program as a source, tensors for a program as a sink.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// A checkpoint of these tensors, in this order; their bytes are shared, not copied. format() is "memory", path() what
// errors call it.
// Throws: Usage for a name that occurs twice.
std::unique_ptr<Checkpoint> make_checkpoint(std::vector<NamedTensor> tensors, Metadata metadata = {},
                                            const std::filesystem::path& path = "memory");

// Keeps what is written. Valid after finish(): the tensors of the layout in its order, its metadata, and its texts with
// those that were added.
class MemoryWriter : public CheckpointWriter {
 public:
  virtual const std::vector<NamedTensor>& tensors() const noexcept = 0;
  virtual const Metadata& metadata() const noexcept = 0;
  virtual const std::vector<std::pair<std::string, std::string>>& texts() const noexcept = 0;
};
std::unique_ptr<MemoryWriter> make_memory_writer();

// Checks what is written as every writer does, and keeps nothing: for measuring, and for runs whose report is all that
// is wanted.
std::unique_ptr<CheckpointWriter> make_null_writer();

}  // namespace mq
