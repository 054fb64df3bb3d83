// How much a reader believes a file. Each limit is far above what real checkpoints need and low enough that a hostile
// file costs neither the memory nor the time of the machine; crossing one is an Error with ErrorCode::Limit that names
// it. Plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mq {

struct Limits {
  // Bytes of what is read into memory as a whole: a header, a pickle, a central directory, an index.
  std::uint64_t header_bytes = 100'000'000;
  // Containers inside containers.
  std::uint64_t depth = 1000;
  // Values that one pickle may build, and entries of its memo; at most 2^31.
  std::uint64_t nodes = 20'000'000;
  // Values that may be visited while tensors are looked for. Shared values are counted each time they are met.
  std::uint64_t visits = 50'000'000;
  // Dimensions of a tensor.
  std::uint64_t rank = 64;
  // Bytes of one name in an input, and in an output.
  std::uint64_t name_bytes = std::uint64_t{1} << 20;
  std::uint64_t output_name_bytes = 4096;
  // Tensors of a checkpoint, records of an archive, entries of metadata.
  std::uint64_t entries = 1'000'000;
  // Bytes that one byte of a compressed record may become.
  std::uint64_t deflate_ratio = 200;
  // Bytes of tensors that one byte of the input's files may describe (views that overlap, sparse tensors).
  std::uint64_t expansion = 64;

  bool operator==(const Limits&) const = default;
};

// One row per limit: how it is called and what it bounds.
struct LimitInfo {
  std::string_view name;  // "header-bytes": the option of the command line is --max-header-bytes
  std::uint64_t Limits::*value;
  std::uint64_t most;  // the largest value it can be set to
  std::string_view help;
};
std::span<const LimitInfo> all_limits() noexcept;

}  // namespace mq
