// Where the storages that a pickle refers to are kept: in records of an archive, behind the pickle, in another file.
#pragma once

#include <optional>
#include <string_view>

#include "formats/blob.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {

class Backing {
 public:
  virtual ~Backing() = default;

  // The bytes of a storage, or null if there is none with that key. They stay valid as long as this object.
  virtual const Blob* storage(std::string_view key) = 0;
  // The tensor that a persistent id which is no storage stands for, if this container has such.
  virtual std::optional<DenseTensor> tensor(std::string_view) { return std::nullopt; }
  virtual bool big_endian() const noexcept { return false; }
};

}  // namespace mq::formats::torch
