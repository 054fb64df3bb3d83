// How ggml's first block types are made (layouts in gguf_legacy.cpp). The reference divides by the scale before it is
// rounded to f16:
//
//   q8_0         d = max|x| / 127           q = round half away(x / d)
//   q4_0, q5_0   d = extreme / -8, -16      q = trunc(x / d + 8.5), trunc(x / d + 16.5)
//   q4_1, q5_1   d = (max - min) / 15, 31   q = trunc((x - min) / d + 0.5)
//
// where x / d is x * (1 / d), and the extreme is the first value of largest magnitude, with its sign.
#include <algorithm>

#include "src/codecs/gguf_legacy_blocks.hpp"

namespace mq::gguf {
namespace {

// Towards zero, clamped to 0..most; 0 for NaN.
std::uint8_t truncated(float v, float most) {
  return static_cast<std::uint8_t>(v > 0 ? std::min(v, most) : 0.0f);
}

void reference_q8_0(const float* __restrict x, std::uint8_t* __restrict block) {
  const float d = std::fabs(extreme_of<kLegacyNumel>(x)) / 127;
  const float inverse = inverse_or_zero(d);
  store_half(d, block);
  for (int j = 0; j < kLegacyNumel; ++j) {
    const float v = std::clamp(x[j] * inverse, -127.0f, 127.0f);
    const int whole_part = static_cast<int>(v);
    const float rest = v - static_cast<float>(whole_part);
    block[2 + j] = static_cast<std::uint8_t>(whole_part + (rest >= 0.5f) - (rest <= -0.5f));
  }
}

// Codes of 2 * kZero levels, of which kZero stands for zero.
template <int kZero>
float reference_signed(const float* x, LegacyCodes& codes) {
  const float d = extreme_of<kLegacyNumel>(x) / -kZero;
  const float inverse = inverse_or_zero(d);
  for (std::size_t j = 0; j < codes.size(); ++j) {
    codes[j] = truncated(x[j] * inverse + (kZero + 0.5f), 2 * kZero - 1);
  }
  return d;
}

void reference_q4_0(const float* __restrict x, std::uint8_t* __restrict block) {
  LegacyCodes codes;
  pack_q4_0(reference_signed<8>(x, codes), codes, block);
}

void reference_q5_0(const float* __restrict x, std::uint8_t* __restrict block) {
  LegacyCodes codes;
  pack_q5_0(reference_signed<16>(x, codes), codes, block);
}

struct ScaleAndMin {
  float scale;
  float min;
};

template <int kMost>
ScaleAndMin reference_ranged(const float* x, LegacyCodes& codes) {
  const auto [least, largest] = std::minmax_element(x, x + kLegacyNumel);
  const float d = (*largest - *least) / kMost;
  const float inverse = inverse_or_zero(d);
  for (std::size_t j = 0; j < codes.size(); ++j) codes[j] = truncated((x[j] - *least) * inverse + 0.5f, kMost);
  return {d, *least};
}

void reference_q4_1(const float* __restrict x, std::uint8_t* __restrict block) {
  LegacyCodes codes;
  const auto [d, m] = reference_ranged<15>(x, codes);
  pack_q4_1(d, m, codes, block);
}

void reference_q5_1(const float* __restrict x, std::uint8_t* __restrict block) {
  LegacyCodes codes;
  const auto [d, m] = reference_ranged<31>(x, codes);
  pack_q5_1(d, m, codes, block);
}

}  // namespace

// In the order of kLegacy.
const std::array<BlockEncoder, 5> kLegacyEncoders{{
    {DType::Q8_0,
     "ggml: 8 bits, a scale for 32 weights",
     {0, -1},
     encode_each<kLegacyNumel, 34, reference_q8_0>,
     search_q8_0},
    {DType::Q4_0,
     "ggml: 4 bits, a scale for 32 weights",
     {0, -1},
     encode_each<kLegacyNumel, 18, reference_q4_0>,
     search_q4_0},
    {DType::Q4_1,
     "ggml: 4 bits, a scale and a minimum for 32 weights",
     {0, 2},
     encode_each<kLegacyNumel, 20, reference_q4_1>,
     search_q4_1},
    {DType::Q5_0,
     "ggml: 5 bits, a scale for 32 weights",
     {0, -1},
     encode_each<kLegacyNumel, 22, reference_q5_0>,
     search_q5_0},
    {DType::Q5_1,
     "ggml: 5 bits, a scale and a minimum for 32 weights",
     {0, 2},
     encode_each<kLegacyNumel, 24, reference_q5_1>,
     search_q5_1},
}};

}  // namespace mq::gguf
