// How fast memory is read and copied: a few passes over more than caches hold.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <new>

#include "mq/tensor.hpp"
#include "src/selftest.hpp"

namespace mq::detail {
namespace {

constexpr std::size_t kBytes = std::size_t{128} << 20;
constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr int kPasses = 4;

// The best of a few passes of bytes each.
double bytes_per_second(std::size_t bytes, const std::function<void()>& pass) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int i = 0; i < kPasses; ++i) {
    const Clock::time_point begin = Clock::now();
    pass();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (seconds > 0) best = std::max(best, static_cast<double>(bytes) / seconds);
  }
  return best;
}

// The sum of a piece, so that it has to be read. Eight sums do not wait for each other.
std::uint64_t sum_of(const std::byte* piece) {
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i < kPiece; i += sizeof sums) {
    std::uint64_t line[8];
    std::memcpy(line, piece + i, sizeof line);
    for (std::size_t j = 0; j < 8; ++j) sums[j] += line[j];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t s : sums) sum += s;
  return sum;
}

}  // namespace

MemoryBandwidth measure_bandwidth(Executor& executor) try {
  Buffer memory(kBytes);
  constexpr auto kPieces = static_cast<std::int64_t>(kBytes / kPiece);
  const auto piece = [&](std::int64_t i) { return memory.data() + static_cast<std::size_t>(i) * kPiece; };
  executor.parallel_for(kPieces, [&](std::int64_t i) { std::memset(piece(i), static_cast<int>(i), kPiece); });
  std::atomic<std::uint64_t> sink = 0;
  const auto read = [&](Executor& by) {
    return bytes_per_second(kBytes,
                            [&] { by.parallel_for(kPieces, [&](std::int64_t i) { sink += sum_of(piece(i)); }); });
  };
  MemoryBandwidth found;
  found.read_one = read(serial_executor());
  found.read_all = read(executor);
  found.copy_one = bytes_per_second(kBytes, [&] { std::memcpy(piece(0), piece(kPieces / 2), kBytes / 2); });
  return found;
} catch (const std::bad_alloc&) {
  return {};
}

}  // namespace mq::detail
