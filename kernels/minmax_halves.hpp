// Smallest and largest value of each run of 16-bit floats, found among their bits.
#pragma once

#include "kernels/load.hpp"
#include "kernels/minmax.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

// Among the bits of numbers of sign and magnitude, the largest signed integer is the largest number unless all are
// negative, and the largest unsigned one the least unless none is: most runs of weights have both signs. NaNs lie beyond
// the infinities, so the extremes tell whether there is one. A group of runs with any such value is done by the
// reference, which counts.
template <class Isa>
struct MinmaxHalves {
  static void range_halves(Halves x, std::size_t rows, std::size_t run, Range* out) noexcept {
    x.brain ? ranges<LoadBf16<Isa>>(x, rows, run, out) : ranges<LoadF16<Isa>>(x, rows, run, out);
  }

 private:
  using Floats = typename Lanes<Isa>::Floats;
  using Words = typename Lanes<Isa>::Words;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
  static constexpr std::size_t kStep = 2 * kWidth;

  using Unsigned = xsimd::batch<std::uint16_t, typename Isa::Arch>;

  struct Extremes {
    Words least, largest;
  };

  // The bits as they are.
  struct ByBits {
    static constexpr bool kNeedsBothSigns = true;
    static Words of(Words bits) { return bits; }
    static Words bits(Words v) { return v; }
    static Words least(Words a, Words b) {
      return xsimd::bitwise_cast<Words>(xsimd::max(xsimd::bitwise_cast<Unsigned>(a), xsimd::bitwise_cast<Unsigned>(b)));
    }
    static bool is_finite(const Extremes& e, std::int16_t infinity) {
      const auto negative_infinity = static_cast<std::uint16_t>(infinity | 0x8000);
      return xsimd::all(e.largest < Words(infinity)) &&
             xsimd::all(xsimd::bitwise_cast<Unsigned>(e.least) < Unsigned(negative_infinity));
    }
  };

  // Integers in the order of the numbers: the magnitude of negative ones inverted. The same again gives the bits.
  struct InOrder {
    static constexpr bool kNeedsBothSigns = false;
    static Words of(Words bits) { return bits ^ ((bits >> 15) & Words(std::int16_t{0x7fff})); }
    static Words bits(Words v) { return of(v); }
    static Words least(Words a, Words b) { return xsimd::min(a, b); }
    static bool is_finite(const Extremes& e, std::int16_t infinity) {
      return xsimd::all((e.largest < Words(infinity)) & (e.least > ~Words(infinity)));
    }
  };

  template <class Load>
  static void ranges(Halves x, std::size_t rows, std::size_t run, Range* out) {
    if (run < kStep) return widened_ranges<Load>(x, rows, run, out);
    for (std::size_t r = 0; r < rows; r += kWidth) {
      const std::size_t count = rows - r < kWidth ? rows - r : kWidth;
      const Halves group = x + static_cast<std::ptrdiff_t>(r * run);
      if (!ranges_of_width<Load, ByBits>(group.data, count, run, out + r) &&
          !ranges_of_width<Load, InOrder>(group.data, count, run, out + r)) {
        Reference<Isa>::range_halves(group, count, run, out + r);
      }
    }
  }

  // Runs shorter than a vector of halves.
  template <class Load>
  static void widened_ranges(Halves x, std::size_t rows, std::size_t run, Range* out) {
    constexpr std::size_t kPiece = 512;
    if (run < kWidth) return Reference<Isa>::range_halves(x, rows, run, out);
    float values[kPiece];
    const std::size_t most = kPiece / run;
    for (std::size_t r = 0; r < rows; r += most) {
      const std::size_t count = rows - r < most ? rows - r : most;
      map_elements<Isa, kWidth>(x.data + r * run, count * run, values,
                                [](const std::uint16_t* in, float* to) { Load::at(in).store_unaligned(to); });
      Minmax<Isa>::range(values, count, run, out + r);
    }
  }

  // Up to as many runs as a vector has lanes; false if a value may not be finite, or if the order does not suit a run.
  template <class Load, class Order>
  static bool ranges_of_width(const std::uint16_t* x, std::size_t count, std::size_t run, Range* out) {
    Floats lo[kWidth], hi[kWidth];
    Extremes all = {Words(std::int16_t{0}), Words(std::int16_t{0})};
    for (std::size_t r = 0; r < count; ++r) {
      const Extremes found = extremes<Order>(x + r * run, run);
      all.least = Order::least(all.least, found.least);
      all.largest = xsimd::max(all.largest, found.largest);
      lo[r] = least_of_halves<Load>(Order::bits(found.least));
      hi[r] = largest_of_halves<Load>(Order::bits(found.largest));
    }
    if (!Order::is_finite(all, Load::kInfinity)) return false;
    for (std::size_t r = count; r < kWidth; ++r) lo[r] = hi[r] = Floats(0.0f);
    const Floats least = Isa::min_of_each(lo) + Floats(0.0f);
    const Floats largest = Isa::max_of_each(hi) + Floats(0.0f);
    if (Order::kNeedsBothSigns && xsimd::any((least > Floats(0.0f)) | (largest < Floats(0.0f)))) return false;
    if (count == kWidth) {
      Isa::store_ranges(least, largest, out);
      return true;
    }
    float lows[kWidth], highs[kWidth];
    least.store_unaligned(lows);
    largest.store_unaligned(highs);
    for (std::size_t r = 0; r < count; ++r) out[r] = {lows[r], highs[r], 0};
    return true;
  }

  template <class Order>
  static Words load(const std::uint16_t* p) {
    return Order::of(Words::load_unaligned(reinterpret_cast<const std::int16_t*>(p)));
  }

  template <class Order>
  static Extremes extremes(const std::uint16_t* x, std::size_t run) {
    const Words first = load<Order>(x), last = load<Order>(x + (run - kStep));
    Extremes even = {first, first}, odd = {last, last};
    std::size_t i = kStep;
    for (; i + 2 * kStep < run; i += 2 * kStep) {
      add<Order>(load<Order>(x + i), even);
      add<Order>(load<Order>(x + i + kStep), odd);
    }
    if (i + kStep < run) add<Order>(load<Order>(x + i), even);
    return {Order::least(even.least, odd.least), xsimd::max(even.largest, odd.largest)};
  }
  template <class Order>
  static void add(Words v, Extremes& found) {
    found.least = Order::least(found.least, v);
    found.largest = xsimd::max(found.largest, v);
  }

  template <class Load>
  static Floats least_of_halves(Words v) {
    std::uint16_t bits[kStep];
    store(v, bits);
    return xsimd::min(Load::at(bits), Load::at(bits + kWidth));
  }
  template <class Load>
  static Floats largest_of_halves(Words v) {
    std::uint16_t bits[kStep];
    store(v, bits);
    return xsimd::max(Load::at(bits), Load::at(bits + kWidth));
  }
  static void store(Words v, std::uint16_t* bits) { v.store_unaligned(reinterpret_cast<std::int16_t*>(bits)); }
};

}  // namespace mq::kernels
