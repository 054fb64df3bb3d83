// The order of rows that Transform::Kind::InterleaveHalves makes: of each head, row i of the first half, row i of the
// second, and on.
#pragma once

#include <cstdint>

namespace mq {

class RowOrder {
 public:
  // heads divides rows, each into an even number; 0: rows stay where they are.
  RowOrder(std::int64_t rows, std::int32_t heads) : head_rows_(heads == 0 ? 0 : rows / heads) {}

  bool changes() const noexcept { return head_rows_ > 1; }
  // Where row `row` of the original goes.
  std::int64_t target(std::int64_t row) const noexcept {
    if (!changes()) return row;
    const std::int64_t in_head = row % head_rows_, half = head_rows_ / 2;
    return row - in_head + 2 * (in_head % half) + in_head / half;
  }

 private:
  std::int64_t head_rows_;
};

}  // namespace mq
