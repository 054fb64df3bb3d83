// Checkpoints made of a pickle and some storages, opened as a user would.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mq/checkpoint.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::test {

inline std::unique_ptr<Checkpoint> open_torch(const TempDir& dir, const TorchFile& file, std::string root = {}) {
  return open_checkpoint(write_file(dir / "m.pt", torch_bytes(file)), {.root = std::move(root)});
}

// The error of opening a checkpoint of this pickle, whose storage "0" holds six floats.
inline std::optional<Error> torch_error(const PickleBuilder& pickle, std::string root = {}) {
  const TempDir dir;
  const TorchFile file{.pickle = pickle.bytes() + ".", .storages = {float_bytes(6)}};
  return error_of([&] { open_torch(dir, file, std::move(root)); });
}

// Names of the tensors of such a checkpoint.
inline std::vector<std::string> torch_names(const PickleBuilder& pickle, std::string root = {}) {
  const TempDir dir;
  const TorchFile file{.pickle = pickle.bytes() + ".", .storages = {float_bytes(6), float_bytes(6), float_bytes(6)}};
  std::vector<std::string> names;
  const auto checkpoint = open_torch(dir, file, std::move(root));
  for (const TensorInfo& tensor : checkpoint->tensors()) names.push_back(tensor.name);
  return names;
}

}  // namespace mq::test
