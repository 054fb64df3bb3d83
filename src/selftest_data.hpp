// Inputs of the self-test: the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace mq::detail {

// Numbers of the size of weights, with ties at .5, zeros of both signs, subnormals and values that saturate everything.
std::vector<float> finite_numbers(std::size_t n, std::uint64_t seed);
// The same without the last two: squares of these can be added up.
std::vector<float> modest_numbers(std::size_t n, std::uint64_t seed);
// Finite ones, infinities and NaN of several kinds.
std::vector<float> any_numbers(std::size_t n, std::uint64_t seed);
// Not negative, for weights of squared errors.
std::vector<float> error_weights(std::size_t n, std::uint64_t seed);
// Positive; extreme: also subnormal and huge.
std::vector<float> scale_numbers(std::size_t n, std::uint64_t seed, bool extreme);
// Whole numbers from least to most.
std::vector<float> whole_numbers(std::size_t n, std::uint64_t seed, std::int32_t least, std::int32_t most);
std::vector<std::int32_t> integers(std::size_t n, std::uint64_t seed, std::int32_t least, std::int32_t most);
std::vector<std::uint8_t> any_bytes(std::size_t n, std::uint64_t seed);
// 16-bit floats; any bits, or finite ones.
std::vector<std::uint16_t> any_halves(std::size_t n, std::uint64_t seed);
std::vector<std::uint16_t> finite_halves(std::size_t n, std::uint64_t seed, bool brain);

// Elements that begin `offset` elements past where memory is aligned.
template <class T>
class Shifted {
 public:
  Shifted(const std::vector<T>& values, std::size_t offset) : all_(offset + values.size()), offset_(offset) {
    if (!values.empty()) std::memcpy(all_.data() + offset, values.data(), values.size() * sizeof(T));
  }
  const T* data() const { return all_.data() + offset_; }

 private:
  std::vector<T> all_;
  std::size_t offset_;
};

}  // namespace mq::detail
