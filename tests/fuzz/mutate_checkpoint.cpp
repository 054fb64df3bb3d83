#include "tests/fuzz/mutators.hpp"

namespace mq::fuzz {

std::string mutate_checkpoint(std::string_view file, std::size_t max_bytes, Random& random) {
  if (file.starts_with("PK")) return mutate_zip(file, max_bytes, random);
  if (file.starts_with("GGUF")) return mutate_gguf(file, max_bytes, random);
  if (file.starts_with('\x80')) return mutate_torch_stream(file, max_bytes, random);
  return mutate_safetensors(file, max_bytes, random);
}

}  // namespace mq::fuzz
