// Makes equal values the same shared one. Not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

namespace mq {

// For SharedString and Shared<T>, of which a plan has few different ones: what comes after the first kMost of them is
// not remembered, so that a search stays short whatever the input.
template <class SharedValue>
class Pool {
 public:
  template <class Value>
  SharedValue share(const Value& value) {
    for (const SharedValue& known : known_) {
      if (known == value) return known;
    }
    SharedValue fresh(value);
    if (known_.size() < kMost) known_.push_back(fresh);
    return fresh;
  }

 private:
  static constexpr std::size_t kMost = 64;
  std::vector<SharedValue> known_;
};

}  // namespace mq
