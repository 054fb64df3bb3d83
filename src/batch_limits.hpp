// How many steps of a plan run together: their results are held until all are done, so this bounds memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mq {

inline constexpr std::int64_t kMaxBatchTiles = 4096;
inline constexpr std::size_t kMaxBatchSteps = 1024;
inline constexpr std::int64_t kMaxBatchState = 8 << 20;

}  // namespace mq
