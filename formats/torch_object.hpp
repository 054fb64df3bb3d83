// From a pickled object to tensors that can be read.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "formats/blob_checkpoint.hpp"
#include "formats/pickle.hpp"
#include "formats/torch_backing.hpp"

namespace mq::formats::torch {

// A pickle with its meaning. Not movable: parts refer to each other.
class SavedObject {
 public:
  // bytes are those of one pickle, all of them; source names it in errors ("model.pt: data.pkl").
  // Throws: as pickle::parse; Corrupt if bytes follow the pickle; Unsupported for what may not be called, or, with
  // OpenOptions::strict, for objects of foreign classes.
  SavedObject(std::string bytes, std::string source, const OpenOptions& options);
  SavedObject(const SavedObject&) = delete;
  SavedObject& operator=(const SavedObject&) = delete;

  NodeId root() const noexcept { return pickle_.root; }
  Values& values() noexcept { return values_; }
  // Whether it refers to storages at all.
  bool holds_tensors() const;
  // How many tensors may come out of a pickle of this size.
  std::size_t max_tensors() const noexcept;
  std::size_t size_bytes() const noexcept { return pickle_.size_bytes; }

 private:
  std::string bytes_;
  pickle::Pickle pickle_;
  Values values_;
};

// Adds the tensors of an object, and an account of what is left out of it, to contents. The part is chosen by the rules
// of formats/torch_select.hpp (root as OpenOptions::root), the names are those of formats/torch_flatten.hpp with
// `prefix` before them. A quantized tensor adds its integers under its name and its parameters as NAME.q_scale and
// NAME.q_zero_point (formats/torch_quantized.hpp).
// If the contents are a listing, the whole object is added to its tree instead (formats/torch_tree.hpp).
// Returns how many values were visited: how much work it was.
// Throws: Corrupt, Unsupported, Limit with the offset in the pickle and the tensor; Usage for a root that is not there.
std::uint64_t add_object(SavedObject& object, Backing& backing, std::string_view root, const std::string& prefix,
                         BlobContents& contents);

}  // namespace mq::formats::torch
