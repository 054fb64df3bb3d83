// Bounds of the readers that follow from how they work; those that a caller may move are in mq/limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mq/error.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

// Throws `details` as the error of a limit that was crossed: says the limit and how to raise it.
[[noreturn]] void refuse_limit(const Limits& limits, std::uint64_t Limits::*limit, ErrorDetails details);

// Memo entries whose indices leave gaps: they cost more memory than the others and no real pickler writes many.
inline constexpr std::size_t kMaxSparseMemo = 1'000'000;

// Bytes of all names of a checkpoint together.
inline constexpr std::size_t kMaxNamesBytes = 100'000'000;

// Bytes of a pickle for each tensor that comes out of it: even the shortest way to give a tensor a name is longer. More
// names than that are made of a few values that are shared many times.
inline constexpr std::size_t kMinPickleBytesPerTensor = 8;
// Small files may share more.
inline constexpr std::size_t kFreeTensors = 1000;

// Parameters and subclasses around one tensor.
inline constexpr int kMaxWrappers = 16;

// Parts of a file that are listed one by one as left out; further ones are only counted.
inline constexpr std::size_t kMaxLeftOut = 1000;

// Files that go with a model.
inline constexpr std::size_t kMaxAssets = 1'000'000;

// Folders inside folders of a model directory.
inline constexpr int kMaxFolderDepth = 16;

}  // namespace mq::formats
