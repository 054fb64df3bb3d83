// How much a reader believes a file. Each limit is far above what real checkpoints need and low enough that a hostile
// file costs neither the memory nor the time of the machine; crossing one is an Error with ErrorCode::Limit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mq::formats {

// Bytes of a header, a pickle or a central directory: what is read into memory as a whole.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

// Containers inside containers.
inline constexpr std::size_t kMaxDepth = 1000;

// Values that one pickle may build, and entries of its memo.
inline constexpr std::size_t kMaxNodes = 20'000'000;

// Memo entries whose indices leave gaps: they cost more memory than the others and no real pickler writes many.
inline constexpr std::size_t kMaxSparseMemo = 1'000'000;

// Values that may be visited while tensors are looked for. Shared values are counted each time they are met.
inline constexpr std::uint64_t kMaxVisits = 50'000'000;

// Dimensions of a tensor.
inline constexpr std::size_t kMaxRank = 64;

// Bytes of one tensor name, and of all names of a checkpoint together.
inline constexpr std::size_t kMaxNameBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxNamesBytes = 100'000'000;

// Tensors of a checkpoint, records of an archive.
inline constexpr std::size_t kMaxEntries = 1'000'000;

// Bytes of a pickle for each tensor that comes out of it: even the shortest way to give a tensor a name is longer. More
// names than that are made of a few values that are shared many times.
inline constexpr std::size_t kMinPickleBytesPerTensor = 8;
// Small files may share more.
inline constexpr std::size_t kFreeTensors = 1000;

// Parameters and subclasses around one tensor.
inline constexpr int kMaxWrappers = 16;

// Parts of a file that are listed one by one as left out; further ones are only counted.
inline constexpr std::size_t kMaxLeftOut = 1000;

// Folders inside folders of a model directory.
inline constexpr int kMaxFolderDepth = 16;

}  // namespace mq::formats
