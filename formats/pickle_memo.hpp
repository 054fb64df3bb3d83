// The memo of a pickle: values by index. Indices that count up from 0, as all picklers write them, cost 4 bytes each;
// others are kept in a map, so that no index is ever believed as a size.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "formats/pickle_graph.hpp"

namespace mq::formats::pickle {

class Memo {
 public:
  void put(std::uint64_t index, NodeId value) {
    if (index < dense_.size()) {
      dense_[index] = value;
    } else if (index == dense_.size()) {
      sparse_.erase(index);
      dense_.push_back(value);
    } else {
      sparse_[index] = value;
    }
  }

  std::optional<NodeId> get(std::uint64_t index) const {
    if (index < dense_.size()) return dense_[index];
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? std::nullopt : std::optional(found->second);
  }

  std::size_t size() const noexcept { return dense_.size() + sparse_.size(); }
  std::size_t sparse_size() const noexcept { return sparse_.size(); }

 private:
  std::vector<NodeId> dense_;
  std::unordered_map<std::uint64_t, NodeId> sparse_;  // every key >= dense_.size()
};

}  // namespace mq::formats::pickle
