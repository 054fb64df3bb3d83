// The pickle of a state_dict that is about to be written: names and tensors, whose bytes are storages beside it.
//
// A tensor becomes one as PyTorch saves it, contiguous, with a storage of its own. The tensors NAME, NAME.q_scale and
// NAME.q_zero_point, as torch_quantized.hpp delivers a quantized tensor, become one quantized tensor: with numbers
// for all of it, or vectors for one of its dimensions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::formats::torch {

struct StateDict {
  std::string pickle;
  // Sizes of storages, by their keys "0", "1", ...
  std::vector<std::uint64_t> storage_bytes;
  // Of the tensors in their order: the storage that holds it, or where its eight bytes are in the pickle.
  struct Place {
    bool in_pickle = false;
    std::uint64_t at = 0;
  };
  std::vector<Place> places;
  std::vector<std::uint64_t> floats;  // where in the pickle eight bytes are a float, big-endian; ascending
};

// `path` names the file in errors.
// Throws: Usage for what PyTorch cannot hold: types that it does not have, names that are not UTF-8 or occur twice;
// Limit for names that are too long.
StateDict make_state_dict(const Layout& layout, const std::filesystem::path& path);

}  // namespace mq::formats::torch
