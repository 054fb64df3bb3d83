#include "tests/fuzz/mutators.hpp"

namespace mq::fuzz {

std::string mutate_plain(std::string_view file, std::size_t max_bytes, Random&) {
  return mutate_bytes(file, max_bytes);
}

std::string mutate_numpy(std::string_view file, std::size_t max_bytes, Random& random) {
  constexpr std::size_t kBegin = 10;  // magic number, version and a length of two bytes
  if (file.starts_with("PK")) return mutate_zip(file, max_bytes, random);
  if (file.size() < kBegin || file[6] != 1 || one_in(random, 8)) return mutate_bytes(file, max_bytes);
  const std::size_t length = static_cast<unsigned char>(file[8]) + 256 * static_cast<unsigned char>(file[9]);
  std::string header = mutate_bytes(file.substr(kBegin, length), max_bytes / 2);
  std::string data(file.substr(std::min(kBegin + length, file.size())));
  if (one_in(random, 4)) data = mutate_bytes(data, max_bytes / 2);
  const auto size = static_cast<std::uint16_t>(std::min<std::size_t>(header.size(), 0xffff));
  const std::string bytes{static_cast<char>(size & 0xff), static_cast<char>(size >> 8)};
  return std::string(file.substr(0, 8)) + bytes + header + data;
}

std::string mutate_checkpoint(std::string_view file, std::size_t max_bytes, Random& random) {
  if (file.starts_with("PK")) return mutate_zip(file, max_bytes, random);
  if (file.starts_with("GGUF")) return mutate_gguf(file, max_bytes, random);
  if (file.starts_with("\x93NUMPY")) return mutate_numpy(file, max_bytes, random);
  if (file.starts_with('\x80')) return mutate_torch_stream(file, max_bytes, random);
  return mutate_safetensors(file, max_bytes, random);
}

}  // namespace mq::fuzz
