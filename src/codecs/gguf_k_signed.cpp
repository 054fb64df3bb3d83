// ggml's encoders of the K-quants with signed scales, bit for bit: all in float, sums in the order of the elements,
// products from left to right, errors weighted by x^2.
//
// Each run of 16 weights is fitted by itself. The scale of largest magnitude is stored as the least of its codes, -32
// or -128, the others follow; then all codes are found again.
#include "src/codecs/gguf_k_blocks.hpp"

namespace mq::gguf {
namespace {

constexpr int kRun = 16;
constexpr std::size_t kRuns = kSuperNumel / kRun;

// Codes for the signed extreme at -4, each moved as long as that helps.
float fit_q3(const float* x, std::uint8_t* codes) {
  const float extreme = extreme_of<kRun>(x);
  if (std::fabs(extreme) < kTiny) {
    std::memset(codes, 0, kRun);
    return 0;
  }
  const float inverse = -4 / extreme;
  int l[kRun];
  float xl = 0, l2 = 0;
  for (int i = 0; i < kRun; ++i) {
    l[i] = whole(inverse * x[i], -4, 3);
    const float w = x[i] * x[i], q = static_cast<float>(l[i]);
    xl += w * x[i] * q;
    l2 += w * q * q;
  }
  bool changed = true;
  for (int pass = 0; pass < 5 && changed; ++pass) {
    changed = false;
    for (int i = 0; i < kRun; ++i) {
      const float w = x[i] * x[i], q = static_cast<float>(l[i]);
      float other_xl = xl - w * x[i] * q, other_l2 = l2 - w * q * q;
      if (!(other_xl > 0)) continue;
      const int again = whole(x[i] * other_l2 / other_xl, -4, 3);
      if (again == l[i]) continue;
      const auto moved = static_cast<float>(again);
      other_xl += w * x[i] * moved;
      other_l2 += w * moved * moved;
      if (!(other_l2 > 0 && other_xl * other_xl * l2 > xl * xl * other_l2)) continue;
      l[i] = again;
      xl = other_xl;
      l2 = other_l2;
      changed = true;
    }
  }
  for (int i = 0; i < kRun; ++i) codes[i] = static_cast<std::uint8_t>(l[i] + 4);
  return l2 > 0 ? xl / l2 : 0;
}

// The best of 19 scales around the one that puts the signed extreme at -32.
float fit_q6(const float* x, std::uint8_t* codes) {
  const float extreme = extreme_of<kRun>(x);
  if (std::fabs(extreme) < kTiny) {
    std::memset(codes, 0, kRun);
    return 0;
  }
  float scale = 0, best = 0;
  const auto attempt = [&](int trial) {
    const float inverse = -(32 + 0.1f * static_cast<float>(trial)) / extreme;
    std::uint8_t tried[kRun];
    float xl = 0, l2 = 0;
    for (int i = 0; i < kRun; ++i) {
      const int l = whole(inverse * x[i], -32, 31);
      tried[i] = static_cast<std::uint8_t>(l + 32);
      const float w = x[i] * x[i], q = static_cast<float>(l);
      xl += w * x[i] * q;
      l2 += w * q * q;
    }
    if (trial != 0 && !(l2 > 0 && xl * xl > best * l2)) return;
    scale = l2 > 0 ? xl / l2 : 0;
    best = scale * xl;
    std::memcpy(codes, tried, kRun);
  };
  attempt(0);
  for (int trial = -9; trial <= 9; ++trial) {
    if (trial != 0) attempt(trial);
  }
  return scale;
}

// Scales as multiples of the extreme one, which becomes kLeast, and the codes kLeastCode..-kLeastCode-1 once more.
template <int kLeast, int kLeastCode>
void settle(const std::array<float, kRuns>& scales, float extreme, const float* x, SignedBlock& out) {
  const float inverse = kLeast / extreme;
  out.d = 1 / inverse;
  const float d = rounded_to_half(out.d);
  for (std::size_t g = 0; g < kRuns; ++g) {
    const int multiple = whole(inverse * scales[g], kLeast, -kLeast - 1);
    out.scales[g] = static_cast<std::int8_t>(multiple);
    const float scale = d * static_cast<float>(multiple);
    if (scale == 0) continue;
    for (std::size_t i = g * kRun; i < (g + 1) * kRun; ++i) {
      out.codes[i] = static_cast<std::uint8_t>(whole(x[i] / scale, kLeastCode, -kLeastCode - 1) - kLeastCode);
    }
  }
}

}  // namespace

void reference_q3_k(const float* __restrict x, std::uint8_t* __restrict block) {
  SignedBlock out;
  std::array<float, kRuns> scales;
  for (std::size_t g = 0; g < kRuns; ++g) scales[g] = fit_q3(x + g * kRun, out.codes.data() + g * kRun);
  const float extreme = extreme_of<kRuns>(scales.data());
  if (extreme == 0) {
    // Not even the scales are set: they are 0 as stored.
    out.d = 0;
    out.scales.fill(-32);
  } else {
    settle<-32, -4>(scales, extreme, x, out);
  }
  pack_q3_k(out, block);
}

void reference_q6_k(const float* __restrict x, std::uint8_t* __restrict block) {
  SignedBlock out;
  std::array<float, kRuns> scales;
  for (std::size_t g = 0; g < kRuns; ++g) scales[g] = fit_q6(x + g * kRun, out.codes.data() + g * kRun);
  const float extreme = extreme_of<kRuns>(scales.data());
  if (std::fabs(extreme) < kTiny) {
    std::memset(block, 0, 210);
    return;
  }
  settle<-128, -32>(scales, extreme, x, out);
  pack_q6_k(out, block);
}

}  // namespace mq::gguf
