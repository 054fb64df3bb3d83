#include "mq/limits.hpp"

#include <array>
#include <limits>

namespace mq {
namespace {

// What positions and sizes in memory are held in.
constexpr std::uint64_t kIndexable = std::uint64_t{1} << 31;
constexpr auto kAny = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

constexpr std::array kLimits{
    LimitInfo{"header-bytes", &Limits::header_bytes, kIndexable, "bytes of a header, pickle, directory or index"},
    LimitInfo{"depth", &Limits::depth, kIndexable, "containers inside containers"},
    LimitInfo{"nodes", &Limits::nodes, kIndexable, "values that a pickle builds"},
    LimitInfo{"visits", &Limits::visits, kAny, "values visited while tensors are looked for, shared ones each time"},
    LimitInfo{"rank", &Limits::rank, kIndexable, "dimensions of a tensor"},
    LimitInfo{"name-bytes", &Limits::name_bytes, kIndexable, "bytes of a name in an input"},
    LimitInfo{"output-name-bytes", &Limits::output_name_bytes, kIndexable, "bytes of a name in an output"},
    LimitInfo{"entries", &Limits::entries, kIndexable, "tensors, records of an archive, entries of metadata"},
    LimitInfo{"deflate-ratio", &Limits::deflate_ratio, kAny, "bytes that a byte of a compressed record may become"},
    LimitInfo{"expansion", &Limits::expansion, kAny, "bytes of tensors that a byte of the input may describe"},
};

}  // namespace

std::span<const LimitInfo> all_limits() noexcept {
  return kLimits;
}

}  // namespace mq
