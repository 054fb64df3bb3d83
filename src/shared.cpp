#include "mq/shared.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#include "mq/error.hpp"

namespace mq {

// Followed by the characters and a zero.
struct SharedString::Block {
  std::atomic<std::uint32_t> uses = 1;
  std::uint32_t size = 0;

  char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
};

SharedString::SharedString(std::string_view text) {
  if (text.empty()) return;
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) throw Error(ErrorCode::Limit, "text of 4 GiB and more");
  block_ = new (::operator new(sizeof(Block) + text.size() + 1)) Block;
  block_->size = static_cast<std::uint32_t>(text.size());
  std::memcpy(block_->text(), text.data(), text.size());
  block_->text()[text.size()] = '\0';
}

SharedString::SharedString(const SharedString& other) noexcept : block_(other.block_) {
  if (block_ != nullptr) block_->uses.fetch_add(1, std::memory_order_relaxed);
}

SharedString::~SharedString() {
  if (block_ == nullptr || block_->uses.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  block_->~Block();
  ::operator delete(block_);
}

std::string_view SharedString::view() const noexcept {
  return block_ == nullptr ? std::string_view("", 0) : std::string_view(block_->text(), block_->size);
}

}  // namespace mq
