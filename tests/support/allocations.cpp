#include "tests/support/allocations.hpp"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> most{0};

void* count(void* memory) noexcept {
  if (memory == nullptr) return nullptr;
  const std::size_t size = ::malloc_usable_size(memory);
  const std::size_t now = in_use.fetch_add(size) + size;
  std::size_t known = most.load();
  while (now > known && !most.compare_exchange_weak(known, now)) {
  }
  return memory;
}

void* allocate(std::size_t size) {
  if (void* const memory = count(std::malloc(std::max<std::size_t>(size, 1)))) return memory;
  throw std::bad_alloc();
}

void* allocate(std::size_t size, std::align_val_t alignment) {
  const auto bytes = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (std::max<std::size_t>(size, 1) + bytes - 1) / bytes * bytes;
  if (void* const memory = count(std::aligned_alloc(bytes, rounded))) return memory;
  throw std::bad_alloc();
}

void release(void* memory) noexcept {
  if (memory != nullptr) in_use -= ::malloc_usable_size(memory);
  std::free(memory);
}

template <class... Arguments>
void* allocate_or_null(Arguments... arguments) noexcept {
  try {
    return allocate(arguments...);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t a) {
  return allocate(size, a);
}
void* operator new[](std::size_t size, std::align_val_t a) {
  return allocate(size, a);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate_or_null(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate_or_null(size);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}

namespace mq::test {

PeakAllocation::PeakAllocation() noexcept : before_(in_use.load()) {
  most = before_;
}

std::size_t PeakAllocation::bytes() const noexcept {
  return most.load() - before_;
}

}  // namespace mq::test
