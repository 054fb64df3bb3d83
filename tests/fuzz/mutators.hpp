// Mutations that know the format: they change what the file says and repair what would otherwise make every reader stop
// at the first field (lengths, checksums, offsets). Each is a function of its arguments.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

// Changes up to max_size bytes at data somehow and returns how many there are now. libFuzzer's, or the one of main.cpp.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace mq::fuzz {

using Random = std::minstd_rand;

// A number below count, which is not 0.
inline std::size_t below(Random& random, std::size_t count) {
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}
inline bool one_in(Random& random, std::size_t count) {
  return below(random, count) == 0;
}

// The text changed by LLVMFuzzerMutate, at most max_bytes long.
std::string mutate_bytes(std::string_view text, std::size_t max_bytes);

// Header, entries or data of a safetensors file; the length of the header is made right.
std::string mutate_safetensors(std::string_view file, std::size_t max_bytes, Random& random);
// A pickle, opcode by opcode.
std::string mutate_pickle(std::string_view pickle, std::size_t max_bytes, Random& random);
// A zip archive, record by record; sizes, offsets and checksums are made right, and sometimes one of them wrong.
std::string mutate_zip(std::string_view archive, std::size_t max_bytes, Random& random);
// A stream of torch.save before 1.6: one of its pickles, or the storages.
std::string mutate_torch_stream(std::string_view stream, std::size_t max_bytes, Random& random);
// A tar archive, member by member; sizes and checksums are made right.
std::string mutate_tar(std::string_view archive, std::size_t max_bytes, Random& random);
// The values and tensors of a GGUF file; lengths, counts, offsets and padding are made right.
std::string mutate_gguf(std::string_view file, std::size_t max_bytes, Random& random);
// Bytes of the pickle at the beginning of a text, its STOP included; all of it if there is none.
std::size_t pickle_bytes(std::string_view text);
// An array of NumPy: its header, whose length is made right, or its data. An archive of them as mutate_zip.
std::string mutate_numpy(std::string_view file, std::size_t max_bytes, Random& random);
// Without knowledge of any format.
std::string mutate_plain(std::string_view file, std::size_t max_bytes, Random& random);
// Whichever of these fits how the file begins.
std::string mutate_checkpoint(std::string_view file, std::size_t max_bytes, Random& random);

using Mutator = std::string(std::string_view, std::size_t, Random&);

// Applies a mutator in place; the result is cut to max_size.
inline std::size_t mutate_in_place(Mutator& mutator, std::uint8_t* data, std::size_t size, std::size_t max_size,
                                   unsigned seed) {
  Random random(seed + 1);
  const std::string changed = mutator({reinterpret_cast<const char*>(data), size}, max_size, random);
  const std::size_t kept = std::min(changed.size(), max_size);
  std::memcpy(data, changed.data(), kept);
  return kept;
}

}  // namespace mq::fuzz

#define MQ_FUZZ_MUTATOR(mutator)                                                                        \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, \
                                                 unsigned seed) {                                       \
    return mq::fuzz::mutate_in_place(mutator, data, size, max, seed);                                   \
  }
