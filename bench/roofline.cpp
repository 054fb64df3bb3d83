#include "bench/roofline.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include "kernels/cpu_features.hpp"

namespace mq::bench {
namespace {

constexpr std::size_t kLine = 64;
using Line = long long __attribute__((vector_size(kLine), may_alias));

// Reads kIn lines, then writes kOut lines made of them. The body stands in each function itself: GCC splits vectors
// that a function's target does not have before it inlines the function into one that has them.
#define MQ_STREAM(name, attributes)                                    \
  template <int kIn, int kOut>                                         \
  attributes void name(const Line* in, std::size_t steps, Line* out) { \
    Line all = {};                                                     \
    for (std::size_t s = 0; s < steps; ++s) {                          \
      Line seen = in[kIn * s];                                         \
      for (int k = 1; k < kIn; ++k) seen |= in[kIn * s + k];           \
      for (int k = 0; k < kOut; ++k) out[kOut * s + k] = seen;         \
      if (kOut == 0) all |= seen;                                      \
    }                                                                  \
    if (kOut == 0) *out = all;                                         \
  }
#if defined(__x86_64__)
MQ_STREAM(stream_avx512, [[gnu::target("avx512f")]])
MQ_STREAM(stream_avx2, [[gnu::target("avx2")]])
#endif
MQ_STREAM(stream_baseline, )
#undef MQ_STREAM

using Stream = void (*)(const Line*, std::size_t, Line*);

template <int kIn, int kOut>
Stream widest() {
#if defined(__x86_64__)
  const std::uint32_t features = kernels::detect_cpu_features();
  if ((features & kernels::kAvx512f) != 0) return &stream_avx512<kIn, kOut>;
  if ((features & kernels::kAvx2) != 0) return &stream_avx2<kIn, kOut>;
#endif
  return &stream_baseline<kIn, kOut>;
}

struct Pattern {
  std::size_t in_lines;
  std::size_t out_lines;
  Stream run;
};

Pattern pattern_for(std::size_t in_bytes, std::size_t out_bytes) {
  const Pattern patterns[] = {
      {4, 0, widest<4, 0>()}, {8, 1, widest<8, 1>()}, {4, 1, widest<4, 1>()}, {2, 1, widest<2, 1>()},
      {1, 1, widest<1, 1>()}, {1, 2, widest<1, 2>()}, {1, 4, widest<1, 4>()}, {1, 8, widest<1, 8>()},
  };
  for (const Pattern& p : patterns) {
    if (in_bytes * p.out_lines == out_bytes * p.in_lines) return p;
  }
  throw std::logic_error("roofline: no loop with this ratio of reads and writes");
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<void, Free>;

Buffer allocate(std::size_t bytes) {
  Buffer buffer(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  if (buffer == nullptr) throw std::bad_alloc();
  std::memset(buffer.get(), 1, bytes);
  return buffer;
}

double measure(std::size_t in_bytes, std::size_t out_bytes) {
  const Pattern p = pattern_for(in_bytes, out_bytes);
  // Apart in the last 12 bits of their addresses: loads and stores that agree in them wait for each other.
  constexpr std::size_t kApart = 33 * kLine;
  const Buffer in = allocate(in_bytes), out = allocate(std::max(out_bytes, kLine) + kApart);
  Line* const out_begin = static_cast<Line*>(out.get()) + kApart / kLine;
  const std::size_t steps = in_bytes / (kLine * p.in_lines);
  // Short passes are timed several at once, for the clock's sake.
  const std::size_t passes = std::max<std::size_t>(1, (std::size_t{4} << 20) / (in_bytes + out_bytes));
  const double end = cpu_seconds() + 0.2;
  double best = 1e9;
  while (cpu_seconds() < end) {
    const double begin = cpu_seconds();
    for (std::size_t i = 0; i < passes; ++i) {
      p.run(static_cast<const Line*>(in.get()), steps, out_begin);
    }
    best = std::min(best, (cpu_seconds() - begin) / static_cast<double>(passes));
  }
  return best;
}

}  // namespace

double cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double roof_seconds(std::size_t in_bytes, std::size_t out_bytes) {
  static std::map<std::pair<std::size_t, std::size_t>, double> known;
  const auto [place, is_new] = known.try_emplace({in_bytes, out_bytes}, 0.0);
  if (is_new) place->second = measure(in_bytes, out_bytes);
  return place->second;
}

}  // namespace mq::bench
