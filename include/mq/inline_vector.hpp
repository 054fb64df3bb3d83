// A vector that holds a few elements without memory of its own: for values of which there are as many as tensors.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>

namespace mq {

// As std::vector<T>, for trivial types and with the members that are of use; up to Inline elements stay inside.
template <class T, std::size_t Inline>
class InlineVector {
  static_assert(Inline > 0 && std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using const_iterator = const T*;

  InlineVector() noexcept = default;
  InlineVector(std::initializer_list<T> elements) : InlineVector(elements.begin(), elements.end()) {}
  explicit InlineVector(size_type count, const T& value = {}) : InlineVector() { resize(count, value); }
  template <std::forward_iterator It>
  InlineVector(It first, It last) : InlineVector() {
    assign(first, last);
  }
  explicit InlineVector(std::span<const T> elements) : InlineVector(elements.begin(), elements.end()) {}
  InlineVector(const InlineVector& other) : InlineVector(other.begin(), other.end()) {}
  InlineVector(InlineVector&& other) noexcept : InlineVector() { swap(other); }
  InlineVector& operator=(InlineVector other) noexcept {
    swap(other);
    return *this;
  }
  ~InlineVector() {
    if (capacity_ > Inline) delete[] storage_.outside;
  }

  size_type size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T* data() noexcept { return capacity_ > Inline ? storage_.outside : storage_.inside; }
  const T* data() const noexcept { return capacity_ > Inline ? storage_.outside : storage_.inside; }
  iterator begin() noexcept { return data(); }
  iterator end() noexcept { return data() + size_; }
  const_iterator begin() const noexcept { return data(); }
  const_iterator end() const noexcept { return data() + size_; }
  auto rbegin() const noexcept { return std::reverse_iterator(end()); }
  auto rend() const noexcept { return std::reverse_iterator(begin()); }
  T& operator[](size_type i) noexcept { return data()[i]; }
  const T& operator[](size_type i) const noexcept { return data()[i]; }
  T& front() noexcept { return *data(); }
  const T& front() const noexcept { return *data(); }
  T& back() noexcept { return data()[size_ - 1]; }
  const T& back() const noexcept { return data()[size_ - 1]; }

  void reserve(size_type count) {
    if (count <= capacity_) return;
    T* const grown = new T[count];
    std::copy(begin(), end(), grown);
    if (capacity_ > Inline) delete[] storage_.outside;
    storage_.outside = grown;
    capacity_ = static_cast<std::uint32_t>(count);
  }
  void resize(size_type count, const T& value = {}) {
    reserve(count);
    if (count > size_) std::fill(end(), begin() + count, value);
    size_ = static_cast<std::uint32_t>(count);
  }
  void clear() noexcept { size_ = 0; }
  void push_back(T value) {
    if (size_ == capacity_) reserve(std::size_t{2} * capacity_);
    data()[size_++] = value;
  }
  template <class... Args>
  void emplace_back(Args&&... args) {
    push_back(T(std::forward<Args>(args)...));
  }
  void pop_back() noexcept { --size_; }
  template <std::forward_iterator It>
  void assign(It first, It last) {
    clear();
    reserve(static_cast<size_type>(std::distance(first, last)));
    for (; first != last; ++first) data()[size_++] = *first;
  }
  iterator insert(const_iterator at, T value) {
    const std::ptrdiff_t index = at - begin();
    push_back(value);
    std::rotate(begin() + index, end() - 1, end());
    return begin() + index;
  }
  iterator erase(const_iterator first, const_iterator last) {
    const iterator to = begin() + (first - begin());
    const iterator rest = std::copy(begin() + (last - begin()), end(), to);
    size_ = static_cast<std::uint32_t>(rest - begin());
    return to;
  }
  iterator erase(const_iterator at) { return erase(at, at + 1); }

  void swap(InlineVector& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(storage_, other.storage_);
  }

  friend bool operator==(const InlineVector& a, const InlineVector& b) { return std::ranges::equal(a, b); }
  friend auto operator<=>(const InlineVector& a, const InlineVector& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  union Storage {
    Storage() noexcept : inside{} {}
    T inside[Inline];
    T* outside;
  };

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = Inline;
  Storage storage_;
};

}  // namespace mq
