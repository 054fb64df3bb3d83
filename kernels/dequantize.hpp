// Affine values: y = (q - zero_point) * scale.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/runs.hpp"

namespace mq::kernels {

// One vector of codes, int8_t or uint8_t, to floats.
template <class Isa, class Code>
struct DequantizeOp {
  using Floats = typename Lanes<Isa>::Floats;
  using In = Code;
  using Out = float;
  static constexpr std::size_t kStep = Lanes<Isa>::kWidth;
  static constexpr std::size_t kInPerUnit = 1;
  static constexpr std::size_t kOutPerUnit = 1;

  struct Affine {
    Floats scale;
    Floats zero_point;
  };

  Affine uniform(float scale, float zero_point) const { return {Floats(scale), Floats(zero_point)}; }
  Affine each(const float* scale, const float* zero_point) const {
    return {Floats::load_unaligned(scale), Floats::load_unaligned(zero_point)};
  }
  void step(const Affine& p, const Code* q, float* y) const {
    ((xsimd::to_float(Isa::widen(q)) - p.zero_point) * p.scale).store_unaligned(y);
  }
};

template <class Isa>
struct DequantizeNibblesOp {
  using Floats = typename Lanes<Isa>::Floats;
  using Affine = typename DequantizeOp<Isa, std::uint8_t>::Affine;
  using In = std::uint8_t;
  using Out = float;
  static constexpr std::size_t kStep = Lanes<Isa>::kWidth;
  static constexpr std::size_t kInPerUnit = 2;
  static constexpr std::size_t kOutPerUnit = 1;

  auto uniform(float scale, float zero_point) const {
    if constexpr (requires { typename Isa::NibbleDecoder; }) {
      return typename Isa::NibbleDecoder(scale, zero_point);
    } else {
      return DequantizeOp<Isa, std::uint8_t>().uniform(scale, zero_point);
    }
  }
  Affine each(const float* scale, const float* zero_point) const {
    return DequantizeOp<Isa, std::uint8_t>().each(scale, zero_point);
  }
  void step(const Affine& p, const std::uint8_t* packed, float* y) const {
    ((xsimd::to_float(Isa::widen_nibbles(packed)) - p.zero_point) * p.scale).store_unaligned(y);
  }
  template <class Decoder>
  void step(const Decoder& decoder, const std::uint8_t* packed, float* y) const {
    decoder(packed).store_unaligned(y);
  }
};

template <class Isa>
struct Dequantize {
  static void dequantize_i8(const std::int8_t* q, std::size_t rows, std::size_t run, const float* scale,
                            const float* zero_point, float* y) noexcept {
    Runs<Isa, DequantizeOp<Isa, std::int8_t>>::apply({}, q, rows, run, scale, zero_point, y);
  }
  static void dequantize_u8(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                            const float* zero_point, float* y) noexcept {
    Runs<Isa, DequantizeOp<Isa, std::uint8_t>>::apply({}, q, rows, run, scale, zero_point, y);
  }
  static void dequantize_4(const std::uint8_t* packed, std::size_t rows, std::size_t run, const float* scale,
                           const float* zero_point, float* y) noexcept {
    Runs<Isa, DequantizeNibblesOp<Isa>>::apply({}, packed, rows, run, scale, zero_point, y);
  }
};

}  // namespace mq::kernels
