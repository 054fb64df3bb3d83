// ggml's encoders of the K-quants with a scale and a minimum, bit for bit: all in float, sums in the order of the
// elements, products from left to right.
//
// Each run of 16 or 32 weights is fitted by itself: codes for a number of scales, the line through each by least
// squares, its minimum not above 0. The largest scale and minimum give d and dmin, the others whole multiples; then all
// codes are found again.
#include "src/codecs/gguf_k_blocks.hpp"

namespace mq::gguf {
namespace {

// The scales that are tried, and what is least: squares or magnitudes.
struct Fit {
  int most;  // code
  float first, step;
  int last;
  bool magnitudes;
};

struct Fitted {
  float scale = 0;
  float minus_min = 0;
};

template <int kRun>
class RunFitter {
 public:
  RunFitter(const Fit& how, const float* x, const float* weights) : how_(how), x_(x), w_(weights) {}

  Fitted fit(std::uint8_t* codes) {
    float lo = x_[0], hi = x_[0], weight = w_[0], sum_x = w_[0] * x_[0];
    for (int i = 1; i < kRun; ++i) {
      if (x_[i] < lo) lo = x_[i];
      if (x_[i] > hi) hi = x_[i];
      weight += w_[i];
      sum_x += w_[i] * x_[i];
    }
    if (lo > 0) lo = 0;
    if (hi == lo) {
      std::memset(codes, 0, kRun);
      return {0, -lo};
    }
    const auto most = static_cast<float>(how_.most);
    float scale = 1 / (most / (hi - lo));
    code(most / (hi - lo), lo, codes);
    float best = error(scale, lo, codes);
    std::uint8_t tried[kRun];
    for (int k = 0; k <= how_.last; ++k) {
      code((how_.first + how_.step * static_cast<float>(k) + most) / (hi - lo), lo, tried);
      float l = 0, l2 = 0, xl = 0;
      for (int i = 0; i < kRun; ++i) {
        const auto q = static_cast<float>(tried[i]);
        l += w_[i] * q;
        l2 += w_[i] * q * q;
        xl += w_[i] * q * x_[i];
      }
      const float determinant = weight * l2 - l * l;
      if (!(determinant > 0)) continue;
      float slope = (weight * xl - sum_x * l) / determinant;
      float least = (l2 * sum_x - l * xl) / determinant;
      if (least > 0) {
        least = 0;
        slope = xl / l2;
      }
      const float found = error(slope, least, tried);
      if (!(found < best)) continue;
      std::memcpy(codes, tried, kRun);
      best = found;
      scale = slope;
      lo = least;
    }
    return {scale, -lo};
  }

 private:
  void code(float inverse, float lo, std::uint8_t* codes) const {
    for (int i = 0; i < kRun; ++i) codes[i] = static_cast<std::uint8_t>(whole(inverse * (x_[i] - lo), 0, how_.most));
  }

  float error(float scale, float min, const std::uint8_t* codes) const {
    float sum = 0;
    for (int i = 0; i < kRun; ++i) {
      const float off = scale * static_cast<float>(codes[i]) + min - x_[i];
      sum += w_[i] * (how_.magnitudes ? std::fabs(off) : off * off);
    }
    return sum;
  }

  const Fit& how_;
  const float* x_;
  const float* w_;
};

template <int kRun>
void weigh(const float* x, bool by_magnitude, float* weights) {
  float squares = 0;
  for (int i = 0; i < kRun; ++i) squares += x[i] * x[i];
  const float base = by_magnitude ? 0 : std::sqrt(squares / kRun);
  for (int i = 0; i < kRun; ++i) weights[i] = base + std::fabs(x[i]);
}

// kSteps: what the largest scale and the largest minimum are stored as.
template <int kRun, int kSteps>
void encode(const Fit& how, const float* x, RangedBlock& out) {
  constexpr std::size_t kRuns = kSuperNumel / kRun;
  std::array<Fitted, kRuns> fitted;
  float largest_scale = 0, largest_min = 0;
  for (std::size_t g = 0; g < kRuns; ++g) {
    float weights[kRun];
    weigh<kRun>(x + g * kRun, how.magnitudes, weights);
    fitted[g] = RunFitter<kRun>(how, x + g * kRun, weights).fit(out.codes.data() + g * kRun);
    if (fitted[g].scale > largest_scale) largest_scale = fitted[g].scale;
    if (fitted[g].minus_min > largest_min) largest_min = fitted[g].minus_min;
  }
  const float scale_steps = largest_scale > 0 ? kSteps / largest_scale : 0;
  const float min_steps = largest_min > 0 ? kSteps / largest_min : 0;
  out.d = largest_scale / kSteps;
  out.dmin = largest_min / kSteps;
  const float d = rounded_to_half(out.d), dmin = rounded_to_half(out.dmin);
  for (std::size_t g = 0; g < kRuns; ++g) {
    out.scales[g] = static_cast<std::uint8_t>(whole(scale_steps * fitted[g].scale, 0, kSteps));
    out.mins[g] = static_cast<std::uint8_t>(whole(min_steps * fitted[g].minus_min, 0, kSteps));
    const float scale = d * static_cast<float>(out.scales[g]);
    if (scale == 0) continue;
    const float minus_min = dmin * static_cast<float>(out.mins[g]);
    for (std::size_t i = g * kRun; i < (g + 1) * kRun; ++i) {
      out.codes[i] = static_cast<std::uint8_t>(whole((x[i] + minus_min) / scale, 0, how.most));
    }
  }
}

}  // namespace

void reference_q2_k(const float* __restrict x, std::uint8_t* __restrict block) {
  RangedBlock out;
  encode<16, 15>({.most = 3, .first = -0.5f, .step = 0.1f, .last = 15, .magnitudes = true}, x, out);
  pack_q2_k(out, block);
}

void reference_q4_k(const float* __restrict x, std::uint8_t* __restrict block) {
  RangedBlock out;
  encode<32, 63>({.most = 15, .first = -1, .step = 0.1f, .last = 20, .magnitudes = false}, x, out);
  pack_q4_k(out, block);
}

void reference_q5_k(const float* __restrict x, std::uint8_t* __restrict block) {
  RangedBlock out;
  encode<32, 63>({.most = 31, .first = -0.5f, .step = 0.1f, .last = 15, .magnitudes = false}, x, out);
  pack_q5_k(out, block);
}

}  // namespace mq::gguf
