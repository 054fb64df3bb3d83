// Self-test: floats of 8 and 16 bits, packing, checksums.
#include "src/selftest_checks.hpp"
#include "src/selftest_data.hpp"

namespace mq::detail {
namespace {

using kernels::KernelTable;

template <class Small>
using Widen = void (*KernelTable::*)(const Small*, std::size_t, float*) noexcept;
template <class Small>
using Narrow = void (*KernelTable::*)(const float*, std::size_t, Small*) noexcept;

template <class Small>
void check_conversion(KernelChecks& checks, const std::string& type, Widen<Small> widen, Narrow<Small> narrow,
                      const std::vector<Small>& codes, const RunShape& s, std::size_t offset) {
  const std::string where = std::to_string(s.n());
  const Shifted from(codes, offset);
  const Shifted x(any_numbers(s.n(), 21), offset);
  checks.same<float>(type + "_to_f32", where, offset, s.n(),
                     [&](const KernelTable& k, float* out) { (k.*widen)(from.data(), s.n(), out); });
  checks.same<Small>("f32_to_" + type, where, offset, s.n(),
                     [&](const KernelTable& k, Small* out) { (k.*narrow)(x.data(), s.n(), out); });
}

// The values of codes times a scale. NaN keeps no payload there.
void check_scaled(KernelChecks& checks, const RunShape& s, std::size_t offset) {
  const Shifted x(any_numbers(s.n(), 22), offset);
  const Shifted q(any_bytes(s.n(), 23), offset);
  const Shifted scale(scale_numbers(s.rows, 24, true), offset);
  checks.same<std::uint8_t>("quantize_e4m3", s.text(), offset, s.n(), [&](const KernelTable& k, std::uint8_t* out) {
    k.quantize_e4m3(x.data(), s.rows, s.run, scale.data(), out);
  });
  checks.same<std::uint8_t>("quantize_e5m2", s.text(), offset, s.n(), [&](const KernelTable& k, std::uint8_t* out) {
    k.quantize_e5m2(x.data(), s.rows, s.run, scale.data(), out);
  });
  checks.same<float>("dequantize_e4m3", s.text(), offset, s.n(), [&](const KernelTable& k, float* out) {
    k.dequantize_e4m3(q.data(), s.rows, s.run, scale.data(), out);
  });
  checks.same<float>("dequantize_e5m2", s.text(), offset, s.n(), [&](const KernelTable& k, float* out) {
    k.dequantize_e5m2(q.data(), s.rows, s.run, scale.data(), out);
  });
}

}  // namespace

void check_floats(KernelChecks& checks) {
  using T = KernelTable;
  for_each_shape([&](const RunShape& s, std::size_t offset) {
    const std::vector<std::uint16_t> halves = any_halves(s.n(), 25);
    const std::vector<std::uint8_t> bytes = any_bytes(s.n(), 26);
    check_conversion(checks, "f16", &T::f16_to_f32, &T::f32_to_f16, halves, s, offset);
    check_conversion(checks, "bf16", &T::bf16_to_f32, &T::f32_to_bf16, halves, s, offset);
    check_conversion(checks, "e4m3", &T::e4m3_to_f32, &T::f32_to_e4m3, bytes, s, offset);
    check_conversion(checks, "e5m2", &T::e5m2_to_f32, &T::f32_to_e5m2, bytes, s, offset);
    check_scaled(checks, s, offset);
  });
}

void check_bytes(KernelChecks& checks) {
  for_each_shape([&](const RunShape& s, std::size_t offset) {
    const std::size_t n = s.n();
    const std::string where = std::to_string(n);
    const Shifted bytes(any_bytes(n, 27), offset);
    checks.same<std::uint8_t>("pack_4", where, offset, (n + 1) / 2,
                              [&](const KernelTable& k, std::uint8_t* out) { k.pack_4(bytes.data(), n, out); });
    checks.same<std::uint8_t>("unpack_4", where, offset, n,
                              [&](const KernelTable& k, std::uint8_t* out) { k.unpack_4(bytes.data(), n, out); });
    checks.same<std::uint32_t>("crc32", where, offset, 1, [&](const KernelTable& k, std::uint32_t* out) {
      *out = k.crc32(0x12345678, bytes.data(), n);
    });
    checks.same<std::uint8_t>("xxh3_128", where, offset, 16,
                              [&](const KernelTable& k, std::uint8_t* out) { k.xxh3_128(bytes.data(), n, out); });
  });
}

}  // namespace mq::detail
