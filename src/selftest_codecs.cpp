// Self-test: ranges, integer codes, codes of levels, and how far codes are from what they were made of.
#include <array>

#include "mq/quant_spec.hpp"
#include "src/codecs/levels.hpp"
#include "src/selftest_checks.hpp"
#include "src/selftest_data.hpp"

namespace mq::detail {
namespace {

using kernels::AffineRuns;
using kernels::ErrorSums;
using kernels::Halves;
using kernels::KernelTable;

std::vector<float> inverted(std::vector<float> scales) {
  for (float& s : scales) s = 1.0f / s;
  return scales;
}

// Without the bytes that nothing is in.
void put(const ErrorSums& sums, double* out) {
  out[0] = sums.error_sq;
  out[1] = sums.x_sq;
  out[2] = sums.y_sq;
  out[3] = sums.max_error;
}

struct Codes {
  std::int32_t zero_least, zero_most;
  float qmin, qmax;
};

void check_encode(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  constexpr Codes kBytes[] = {{0, 0, -127, 127}, {0, 255, 0, 255}, {-(1 << 20), 1 << 20, -128, 127}};
  constexpr Codes kNibbles[] = {{8, 8, 0, 15}, {0, 15, 1, 15}};
  const Shifted x(finite_numbers(s.n(), 1), offset);
  const Shifted inverse(inverted(scale_numbers(s.rows, 2, false)), offset);
  for (const Codes& c : kBytes) {
    const Shifted zero(whole_numbers(s.rows, 3, c.zero_least, c.zero_most), offset);
    checks.same<std::uint8_t>("quantize_8", s.text(), offset, s.n(), [&](const KernelTable& k, std::uint8_t* out) {
      k.quantize_8(x.data(), s.rows, s.run, inverse.data(), zero.data(), c.qmin, c.qmax, out);
    });
  }
  for (const Codes& c : kNibbles) {
    const Shifted zero(whole_numbers(s.rows, 4, c.zero_least, c.zero_most), offset);
    checks.same<std::uint8_t>("quantize_4", s.text(), offset, (s.n() + 1) / 2,
                              [&](const KernelTable& k, std::uint8_t* out) {
                                k.quantize_4(x.data(), s.rows, s.run, inverse.data(), zero.data(), c.qmin, c.qmax, out);
                              });
  }
}

void check_decode(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  const Shifted q(any_bytes(s.n(), 5), offset);
  const Shifted scale(scale_numbers(s.rows, 6, true), offset);
  const Shifted zero(whole_numbers(s.rows, 7, -300, 300), offset);
  checks.same<float>("dequantize_i8", s.text(), offset, s.n(), [&](const KernelTable& k, float* out) {
    k.dequantize_i8(reinterpret_cast<const std::int8_t*>(q.data()), s.rows, s.run, scale.data(), zero.data(), out);
  });
  checks.same<float>("dequantize_u8", s.text(), offset, s.n(), [&](const KernelTable& k, float* out) {
    k.dequantize_u8(q.data(), s.rows, s.run, scale.data(), zero.data(), out);
  });
  checks.same<float>("dequantize_4", s.text(), offset, s.n(), [&](const KernelTable& k, float* out) {
    k.dequantize_4(q.data(), s.rows, s.run, scale.data(), zero.data(), out);
  });
}

void check_ranges(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  const Shifted x(any_numbers(s.n(), 8), offset);
  const Shifted halves(any_halves(s.n(), 9), offset);
  checks.same<kernels::Range>("range", s.text(), offset, s.rows, [&](const KernelTable& k, kernels::Range* out) {
    k.range(x.data(), s.rows, s.run, out);
  });
  for (const bool brain : {false, true}) {
    checks.same<kernels::Range>("range_halves", s.text(), offset, s.rows,
                                [&](const KernelTable& k, kernels::Range* out) {
                                  k.range_halves({halves.data(), brain}, s.rows, s.run, out);
                                });
  }
}

void check_levels(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  const Shifted x(finite_numbers(s.n(), 10), offset);
  const Shifted q(any_bytes(s.n(), 11), offset);
  const Shifted scale(scale_numbers(s.rows, 12, false), offset);
  for (const char* name : {"nf4", "mxfp4"}) {
    const kernels::Levels& levels = level_format(parse_spec(name))->levels;
    const std::string where = s.text() + " " + name;
    checks.same<std::uint8_t>("quantize_levels", where, offset, s.n(), [&](const KernelTable& k, std::uint8_t* out) {
      k.quantize_levels(levels, x.data(), s.rows, s.run, scale.data(), out);
    });
    checks.same<float>("dequantize_levels", where, offset, s.n(), [&](const KernelTable& k, float* out) {
      k.dequantize_levels(levels, q.data(), s.rows, s.run, scale.data(), out);
    });
  }
}

// Codes and sums of floats of 32 and 16 bits.
void check_measured(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  const Shifted x(modest_numbers(s.n(), 13), offset);
  const std::vector<float> scale = scale_numbers(s.rows, 14, false), inverse = inverted(scale);
  const std::vector<float> zero = whole_numbers(s.rows, 15, 0, 15);
  for (const bool nibbles : {false, true}) {
    const AffineRuns runs = {inverse.data(), scale.data(), zero.data(), 0, nibbles ? 15.0f : 255.0f};
    const std::size_t bytes = nibbles ? s.n() / 2 : s.n();
    // Codes and sums one by one: whatever is not looked at goes elsewhere.
    const auto both = [&](const char* name, auto&& call) {
      checks.same<std::uint8_t>(name, s.text(), offset, bytes, [&](const KernelTable& k, std::uint8_t* out) {
        ErrorSums sums = {1, 2, 3, 0};
        call(k, out, &sums);
      });
      checks.same<double>(name, s.text() + ", sums", offset, 4, [&](const KernelTable& k, double* out) {
        std::vector<std::uint8_t> codes(bytes);
        ErrorSums sums = {1, 2, 3, 0};
        call(k, codes.data(), &sums);
        put(sums, out);
      });
    };
    both(nibbles ? "quantize_4_measured" : "quantize_8_measured",
         [&](const KernelTable& k, std::uint8_t* out, ErrorSums* sums) {
           (nibbles ? k.quantize_4_measured : k.quantize_8_measured)(x.data(), s.rows, s.run, runs, out, sums);
         });
    for (const bool brain : {false, true}) {
      const Shifted halves(finite_halves(s.n(), 16, brain), offset);
      both(nibbles ? "quantize_4_halves" : "quantize_8_halves",
           [&](const KernelTable& k, std::uint8_t* out, ErrorSums* sums) {
             const Halves in = {halves.data(), brain};
             (nibbles ? k.quantize_4_halves : k.quantize_8_halves)(in, s.rows, s.run, runs, out, sums);
           });
    }
  }
}

}  // namespace

void check_codecs(KernelChecks& checks) {
  for_each_shape([&](const RunShape& s, std::size_t offset) {
    check_ranges(checks, s, offset);
    check_encode(checks, s, offset);
    check_decode(checks, s, offset);
    check_levels(checks, s, offset);
    const Shifted x(modest_numbers(s.n(), 17), offset), y(modest_numbers(s.n(), 18), offset);
    checks.same<double>("error_sums", s.text(), offset, 4, [&](const KernelTable& k, double* out) {
      ErrorSums sums = {};
      k.error_sums(x.data(), y.data(), s.n(), &sums);
      put(sums, out);
    });
  });
  // What the measuring kernels take.
  for (const RunShape& s : {RunShape{4, 16}, {76, 16}, {66, 32}, {7, 64}, {1, 576}, {3, 1024}, {1, 4160}}) {
    for (std::size_t offset = 0; offset < 4; ++offset) check_measured(checks, s, offset);
  }
}

}  // namespace mq::detail
