// Names of the files of a model directory: which may be used as paths, and what they say about the content.
#pragma once

#include <string_view>

namespace mq::formats {

// A bare file name: not empty, no slash, backslash, drive letter or NUL, not "." or "..".
bool is_plain_name(std::string_view name) noexcept;

// Plain names joined by single slashes.
bool is_relative_name(std::string_view name) noexcept;

// Whether a file of this name holds weights, in a format that is read or not ("model.safetensors", "tf_model.h5").
bool is_weights_name(std::string_view name) noexcept;

// Whether a file of this name can be the weights of a model directory: safetensors, or a file of torch.save that is not
// the state of a training run.
bool is_safetensors_name(std::string_view name) noexcept;
bool is_torch_name(std::string_view name) noexcept;

// Whether a file of this name is an index of shards ("model.safetensors.index.json").
bool is_index_name(std::string_view name) noexcept;

}  // namespace mq::formats
