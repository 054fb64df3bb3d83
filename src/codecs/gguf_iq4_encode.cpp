// How ggml's four-bit codebook blocks are made (layouts in gguf_iq4.cpp), bit for bit as its quantize tool makes them:
// all in float, sums in the order of the elements, products from left to right, errors weighted by x^2.
//
// 16 scales around the one that gives the signed extreme the code of -127 or 127 are tried; codes follow from the best
// one before it is rounded. In iq4_xs the scale of largest magnitude becomes -32, the others whole multiples.
#include "src/codecs/gguf_iq4_blocks.hpp"

namespace mq::gguf {
namespace {

// The upper one of two that are equally near.
std::uint8_t nearest(float v) {
  if (!(v > kIq4Values.front())) return 0;
  if (v >= kIq4Values.back()) return 15;
  std::size_t upper = 1;
  while (v >= kIq4Values[upper]) ++upper;
  return static_cast<std::uint8_t>(v - kIq4Values[upper - 1] < kIq4Values[upper] - v ? upper - 1 : upper);
}

// 0 for 32 zeros.
float fit(const float* x) {
  const float extreme = extreme_of<kIq4Run>(x);
  if (std::fabs(extreme) < kTiny) return 0;
  float scale = 0, best = 0;
  const auto attempt = [&](float inverse, bool first) {
    float xk = 0, k2 = 0;
    for (int i = 0; i < kIq4Run; ++i) {
      const float value = kIq4Values[nearest(x[i] * inverse)], w = x[i] * x[i];
      xk += w * value * x[i];
      k2 += w * value * value;
    }
    if (!first && !(k2 > 0 && xk * xk > best * k2)) return;
    scale = xk / k2;
    best = scale * xk;
  };
  attempt(1 / (extreme / 127), true);
  for (int trial = -7; trial <= 7; ++trial) attempt(static_cast<float>(trial - 127) / extreme, false);
  return scale;
}

void code(const float* x, float scale, std::uint8_t* codes) {
  const float inverse = inverse_or_zero(scale);
  for (int i = 0; i < kIq4Run; ++i) codes[i] = nearest(x[i] * inverse);
}

void reference_iq4_nl(const float* __restrict x, std::uint8_t* __restrict block) {
  std::array<std::uint8_t, kIq4Run> codes;
  const float d = fit(x);
  code(x, d, codes.data());
  pack_iq4_nl(d, codes.data(), block);
}

void reference_iq4_xs(const float* __restrict x, std::uint8_t* __restrict block) {
  std::array<float, 8> scales;
  for (std::size_t g = 0; g < scales.size(); ++g) scales[g] = fit(x + g * kIq4Run);
  const float d = -extreme_of<8>(scales.data()) / 32;
  const float inverse = inverse_or_zero(d);
  std::array<std::int8_t, 8> multiples;
  std::array<std::uint8_t, 256> codes;
  for (std::size_t g = 0; g < scales.size(); ++g) {
    multiples[g] = static_cast<std::int8_t>(whole(inverse * scales[g], -32, 31));
    code(x + g * kIq4Run, d * static_cast<float>(multiples[g]), codes.data() + g * kIq4Run);
  }
  pack_iq4_xs(d, multiples.data(), codes.data(), block);
}

}  // namespace

void pack_iq4_nl(float d, const std::uint8_t* codes, std::uint8_t* block) {
  store_half(d, block);
  pack_nibbles(codes, block + 2);
}

void pack_iq4_xs(float d, const std::int8_t* scales, const std::uint8_t* codes, std::uint8_t* block) {
  store_half(d, block);
  std::memset(block + 2, 0, 6);
  int high = 0;
  for (std::size_t g = 0; g < 8; ++g) {
    const int stored = scales[g] + 32;
    block[4 + g / 2] = static_cast<std::uint8_t>(block[4 + g / 2] | (stored & 15) << (g % 2 * 4));
    high |= stored >> 4 << (2 * g);
    pack_nibbles(codes + g * kIq4Run, block + 8 + g * 16);
  }
  store_u16(static_cast<std::uint16_t>(high), block + 2);
}

const std::array<BlockEncoder, 2> kNonlinearEncoders{{
    {DType::IQ4_NL,
     "ggml: 4-bit codes for uneven steps, a scale for 32 weights",
     {0, -1},
     encode_each<kIq4Run, 18, reference_iq4_nl>,
     search_iq4_nl},
    {DType::IQ4_XS,
     "ggml: 4-bit codes for uneven steps, 6-bit scales for 32 weights",
     {0, -1},
     encode_each<256, 136, reference_iq4_xs>,
     search_iq4_xs},
}};

}  // namespace mq::gguf
