// Lower error in ggml's four-bit codebook blocks.
//
// For a number of scales of either sign, the codes nearest to the weights, and the scale that fits those best; the one
// that takes off most of the error wins. iq4_xs goes on as in gguf_k_signed_search.cpp. Effort::Max visits every set of
// codes that a scale can give.
#include <algorithm>
#include <limits>

#include "src/codecs/gguf_iq4_blocks.hpp"
#include "src/codecs/gguf_search.hpp"

namespace mq::gguf {
namespace {

// The nearest code of v is that of its half-integer steps: all thresholds are multiples of 1/2.
class Nearest {
 public:
  std::uint8_t operator()(float v) const {
    const float held = v > kLeast ? (v < kMost ? v : kMost) : kLeast;
    return codes_[static_cast<std::size_t>((held - kLeast) * 2)];
  }

 private:
  static constexpr float kLeast = -128, kMost = 127.5f;

  static constexpr std::array<std::uint8_t, 512> table() {
    std::array<std::uint8_t, 512> codes{};
    std::uint8_t code = 0;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const float v = kLeast + static_cast<float>(i) / 2;
      while (code < 15 && v * 2 >= kIq4Values[code] + kIq4Values[code + 1]) ++code;
      codes[i] = code;
    }
    return codes;
  }
  std::array<std::uint8_t, 512> codes_ = table();
};
constexpr Nearest kNearest;

struct Fit {
  float scale = 0;
  float gain = 0;  // what the codes take off the sum of squares
};

// A run of 32 weights, and the weights of their errors.
class RunSearch {
 public:
  RunSearch(const float* x, const float* weights) : x_(x), weights_(weights) {}

  // The grid goes from what gives the extreme an outermost code to what clips it.
  Fit find() {
    const float extreme = extreme_of<kIq4Run>(x_);
    if (std::fabs(extreme) < kTiny) return {};
    for (const float outermost : {kIq4Values.front(), kIq4Values.back()}) {
      for (int k = 0; k < kGrid; ++k) attempt(outermost * (kShrink + kStep * static_cast<float>(k)) / extreme);
    }
    for (int k = 0; k < kRefinements && best_.scale != 0; ++k) attempt(1 / best_.scale);
    return best_;
  }

  // Every set of codes that a scale can give.
  Fit find_best() {
    for (const float sign : {1.0f, -1.0f}) sweep(sign);
    return best_;
  }

  float error(float scale) const {
    const float inverse = inverse_or_zero(scale);
    float sum = 0;
    for (std::size_t i = 0; i < kIq4Run; ++i) {
      const float off = x_[i] - scale * kIq4Values[kNearest(x_[i] * inverse)];
      sum += weight_of(weights_, i) * off * off;
    }
    return sum;
  }

 private:
  static constexpr int kGrid = 12, kRefinements = 2;
  static constexpr float kShrink = 0.9f, kStep = 0.04f;

  void attempt(float inverse) {
    float xk = 0, kk = 0;
    for (std::size_t i = 0; i < kIq4Run; ++i) {
      const float value = kIq4Values[kNearest(x_[i] * inverse)];
      const float weighted = weight_of(weights_, i) * value;
      xk += weighted * x_[i];
      kk += weighted * value;
    }
    if (xk * xk > best_.gain * kk) best_ = {xk / kk, xk * xk / kk};
  }

  struct Event {
    float inverse;
    std::uint8_t index;
    std::uint8_t code;  // from here on
  };

  void sweep(float sign) {
    std::vector<Event> events;
    double xk = 0, kk = 0;
    std::array<std::uint8_t, kIq4Run> codes;
    const auto put = [&](std::size_t i, std::uint8_t code, double factor) {
      const auto value = static_cast<double>(kIq4Values[code]);
      const double weighted = factor * static_cast<double>(weight_of(weights_, i)) * value;
      xk += weighted * static_cast<double>(sign * x_[i]);
      kk += weighted * value;
    };
    for (std::size_t i = 0; i < kIq4Run; ++i) {
      const float v = sign * x_[i];
      codes[i] = kNearest(0);
      put(i, codes[i], 1);
      const int step = v > 0 ? 1 : -1;
      for (int code = codes[i]; v != 0 && code + step >= 0 && code + step <= 15; code += step) {
        const auto at = static_cast<std::size_t>(code), next = static_cast<std::size_t>(code + step);
        const float inverse = (kIq4Values[at] + kIq4Values[next]) / 2 / v;
        // Zero is nearer to the code above it than the middle between the two codes around it.
        events.push_back({std::max(inverse, 0.0f), static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(next)});
      }
    }
    std::ranges::stable_sort(events, {}, &Event::inverse);
    for (const Event& event : events) {
      put(event.index, codes[event.index], -1);
      codes[event.index] = event.code;
      put(event.index, event.code, 1);
      if (xk > 0 && xk * xk > static_cast<double>(best_.gain) * kk) {
        best_ = {sign * static_cast<float>(xk / kk), static_cast<float>(xk * xk / kk)};
      }
    }
  }

  const float* x_;
  const float* weights_;
  Fit best_;
};

const float* weights_at(const SearchedBlocks& in, std::int64_t at) {
  return in.weights == nullptr ? nullptr : in.weights + at;
}

void code(const float* x, float scale, std::uint8_t* codes) {
  const float inverse = inverse_or_zero(scale);
  for (int i = 0; i < kIq4Run; ++i) codes[i] = kNearest(x[i] * inverse);
}

// One super-block of iq4_xs in units.
class SuperSearch {
 public:
  SuperSearch(const SearchedBlocks& in, const UnitBlocks& units, std::int64_t index)
      : units_(units), index_(index), x_(units.block(index)), weights_(weights_at(in, index * 256)) {}

  void find(bool thorough) {
    std::array<float, kRuns> scales;
    for (std::size_t g = 0; g < kRuns; ++g) {
      RunSearch run = run_at(g);
      scales[g] = (thorough ? run.find_best() : run.find()).scale;
    }
    d_ = units_.rounded(index_, extreme_of<kRuns>(scales.data()) / -32);
    const float steps = inverse_or_zero(d_);
    for (std::size_t g = 0; g < kRuns; ++g) multiples_[g] = static_cast<std::int8_t>(whole(scales[g] * steps, -32, 31));
    float error = choose_multiples(thorough ? 3 : 1);
    for (int round = 0; round < (thorough ? 8 : 1); ++round) {
      SuperSearch again = *this;
      again.solve();
      const float found = again.choose_multiples(thorough ? 3 : 1);
      if (!(found < error)) return;
      error = found;
      *this = again;
    }
  }

  void pack(std::uint8_t* block) const {
    Iq4Codes codes;
    for (std::size_t g = 0; g < kRuns; ++g) {
      code(x_ + g * kIq4Run, d_ * static_cast<float>(multiples_[g]), codes.data() + g * kIq4Run);
    }
    pack_iq4_xs(units_.real(index_, d_), multiples_, codes, block);
  }

  SuperSearch& operator=(const SuperSearch& other) {
    d_ = other.d_;
    multiples_ = other.multiples_;
    return *this;
  }
  SuperSearch(const SuperSearch&) = default;

 private:
  static constexpr std::size_t kRuns = 8;

  RunSearch run_at(std::size_t g) const {
    return {x_ + g * kIq4Run, weights_ == nullptr ? nullptr : weights_ + g * kIq4Run};
  }

  // The best multiple of each run within reach of the one that it has. Returns the error.
  float choose_multiples(int reach) {
    float sum = 0;
    for (std::size_t g = 0; g < kRuns; ++g) {
      const RunSearch run = run_at(g);
      const int from = multiples_[g];
      float best = std::numeric_limits<float>::infinity();
      for (int m = std::max(from - reach, -32); m <= std::min(from + reach, 31); ++m) {
        const float error = run.error(d_ * static_cast<float>(m));
        if (!(error < best)) continue;
        best = error;
        multiples_[g] = static_cast<std::int8_t>(m);
      }
      sum += best;
    }
    return sum;
  }

  // d for the codes that there are, by least squares.
  void solve() {
    float xu = 0, uu = 0;
    for (std::size_t i = 0; i < kRuns * kIq4Run; ++i) {
      const auto multiple = static_cast<float>(multiples_[i / kIq4Run]);
      const float u = multiple * kIq4Values[kNearest(x_[i] * inverse_or_zero(d_ * multiple))];
      const float weighted = weight_of(weights_, i) * u;
      xu += weighted * x_[i];
      uu += weighted * u;
    }
    if (uu > 0) d_ = units_.rounded(index_, xu / uu);
  }

  const UnitBlocks& units_;
  std::int64_t index_;
  const float* x_;
  const float* weights_;
  float d_ = 0;  // as stored, in units of the block
  std::array<std::int8_t, kRuns> multiples_ = {};
};

}  // namespace

void search_iq4_nl(const SearchedBlocks& in, std::uint8_t* blocks) {
  const UnitBlocks units(in, kIq4Run);
  for (std::int64_t i = 0; i < in.count; ++i) {
    RunSearch run(units.block(i), weights_at(in, i * kIq4Run));
    const float scale = (in.thorough ? run.find_best() : run.find()).scale;
    Iq4Codes codes;
    code(units.block(i), units.rounded(i, scale), codes.data());
    pack_iq4_nl(units.real(i, scale), codes, blocks + i * 18);
  }
  keep_better(kNonlinear[0], kNonlinearEncoders[0], in, blocks);
}

void search_iq4_xs(const SearchedBlocks& in, std::uint8_t* blocks) {
  const UnitBlocks units(in, 256);
  for (std::int64_t i = 0; i < in.count; ++i) {
    SuperSearch search(in, units, i);
    search.find(in.thorough);
    search.pack(blocks + i * 136);
  }
  keep_better(kNonlinear[1], kNonlinearEncoders[1], in, blocks);
}

}  // namespace mq::gguf
