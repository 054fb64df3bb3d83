// Tensors in memory: Shape; Buffer (owned, writable); Tensor (immutable, shares its bytes); TensorView (borrowed for
// the length of a call). All are contiguous and row-major. Copies of a Tensor may be used from different threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "mq/dtype.hpp"
#include "mq/error.hpp"
#include "mq/inline_vector.hpp"

namespace mq {

using Shape = InlineVector<std::int64_t, 3>;

// Number of elements; 1 for a scalar (empty shape).
// Throws: Corrupt on a negative dimension, Limit if the product of the non-zero dimensions exceeds 2^63 - 1.
std::int64_t numel(std::span<const std::int64_t> shape);

// "[4096, 128]".
std::string to_string(std::span<const std::int64_t> shape);

// Owned bytes, aligned to 64, contents undefined until written.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size_bytes);

  std::byte* data() noexcept { return data_.get(); }
  const std::byte* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::span<std::byte> span() noexcept { return {data_.get(), size_}; }
  std::span<const std::byte> span() const noexcept { return {data_.get(), size_}; }

  // The first count elements of type T; the caller keeps count * sizeof(T) <= size().
  template <class T>
  T* as() noexcept {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_ = 0;
};

struct TensorView {
  DType dtype = DType::Float32;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> bytes;

  // The elements. T must have the size of the dtype's element.
  // Throws: Usage if it has not.
  template <class T>
  std::span<const T> as() const {
    require_element_bytes(sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  std::int64_t numel() const { return mq::numel(shape); }

 private:
  void require_element_bytes(std::size_t element_bytes) const;
};

class Tensor {
 public:
  Tensor() = default;
  // Takes ownership of bytes. Throws: Usage if their number is not that of shape and dtype.
  Tensor(DType dtype, Shape shape, Buffer bytes);

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::span<const std::byte> bytes() const noexcept;
  TensorView view() const noexcept { return {dtype_, shape_, bytes()}; }

  template <class T>
  std::span<const T> as() const {
    return view().as<T>();
  }

 private:
  DType dtype_ = DType::Float32;
  Shape shape_;
  std::shared_ptr<const Buffer> bytes_;
};

}  // namespace mq
