// Tensors under llama.cpp's names seen as those of the Hugging Face model that they were made of.
#pragma once

#include "mq/source.hpp"

namespace mq::gguf {

// Where `original` is of an architecture that has llama.cpp's names, tensors of `other` that have them, and not the
// original's, get the original's names and know how their rows lie. Whatever does not fit stays as it is.
void restore_names(const Source& original, Source& other);

}  // namespace mq::gguf
