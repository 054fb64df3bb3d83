// Arrays cut from one piece of memory.
#pragma once

#include <cstddef>

namespace mq::detail {

// Cuts memory into arrays that begin on cache lines; without any it adds up what they take.
class Carver {
 public:
  explicit Carver(std::byte* begin = nullptr) : begin_(begin) {}

  template <class T>
  T* take(std::size_t count) {
    std::byte* const at = begin_ != nullptr ? begin_ + used_ : nullptr;
    used_ += (count * sizeof(T) + kLine - 1) / kLine * kLine;
    return reinterpret_cast<T*>(at);
  }
  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t kLine = 64;

  std::byte* begin_;
  std::size_t used_ = 0;
};

}  // namespace mq::detail
