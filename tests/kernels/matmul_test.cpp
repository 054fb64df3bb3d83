// Every table of products against the reference table, and the reference against sums written out.
#include <algorithm>

#include "tests/kernels/compare.hpp"

using namespace kernel_test;
using namespace mq::kernels;

namespace {

const MatmulTable& reference_matmul() {
  return *available_matmul_kernels().back();
}

// Calls f(table, offset) for every table but the reference.
template <class F>
void for_each_matmul(F f) {
  for (const MatmulTable* table : available_matmul_kernels()) {
    if (table == &reference_matmul()) continue;
    for (std::size_t offset = 0; offset < 3; ++offset) f(*table, offset);
  }
}

struct Case {
  std::size_t rows, columns, k, block;
  bool zero_points, x_zero, bias;

  std::size_t panels() const { return (columns + 15) / 16; }
  std::size_t blocks() const { return (k + block - 1) / block; }
  std::size_t block_octets() const { return (block + 7) / 8; }
  std::size_t octets() const { return (blocks() - 1) * block_octets() + ((k - 1) % block + 1 + 7) / 8; }
  std::size_t params() const { return panels() * blocks() * 16; }
  std::string text() const {
    return std::to_string(rows) + " x " + std::to_string(columns) + " x " + std::to_string(k) + ", blocks of " +
           std::to_string(block) + (zero_points ? ", z" : "") + (x_zero ? ", x_zero" : "") + (bias ? ", bias" : "");
  }
};

std::vector<Case> cases(std::size_t most_rows) {
  std::vector<Case> all;
  for (std::size_t rows = 1; rows <= most_rows; ++rows) {
    all.push_back({rows, 48, 64, 32, false, false, rows % 2 == 0});
    all.push_back({rows, 50, 96, 32, true, false, rows % 2 == 1});
    all.push_back({rows, 33, 41, 41, false, true, true});
    all.push_back({rows, 17, 130, 64, true, true, false});
  }
  all.push_back({1, 1, 1, 1, true, true, true});
  all.push_back({2, 7, 3, 3, false, false, false});
  all.push_back({most_rows, 65, 21, 7, true, true, true});
  all.push_back({3, 100, 1000, 1000, true, true, true});
  return all;
}

std::vector<std::int32_t> integers(std::size_t n, unsigned seed, int lo, int hi) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> value(lo, hi);
  std::vector<std::int32_t> all(n);
  for (auto& v : all) v = value(random);
  return all;
}

std::vector<float> small_scales(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-0.01f, 0.02f);
  std::vector<float> all(n);
  for (float& v : all) v = value(random);
  return all;
}

// Codes of activations: random, and rows of the extremes.
std::vector<std::int8_t> activations(std::size_t rows, std::size_t k) {
  std::mt19937 random(5);
  std::vector<std::int8_t> x(rows * k);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool extreme = i / k % 3 == 2;
    x[i] = static_cast<std::int8_t>(extreme ? (i / k % 2 == 0 ? -128 : 127) : static_cast<int>(random() % 256) - 128);
  }
  return x;
}

// Everything of a case that does not depend on the table.
struct Operands {
  Case c;
  int bits;
  std::size_t offset;
  Input<std::int8_t> rows;
  Input<std::uint8_t> codes;
  Input<std::uint8_t> zero_point;
  Input<std::int32_t> column_sums, x_zero;
  Input<float> scale, x_scale, bias;

  Operands(const Case& which, int width, std::size_t at, bool saturated)
      : c(which),
        bits(width),
        offset(at),
        rows(activations(c.rows, c.k), at),
        codes(saturated ? std::vector<std::uint8_t>(code_count(), 255) : random_bytes(code_count(), 3), at),
        zero_point(zero_points_of(c, width), at),
        column_sums(integers(c.params(), 7, -300000, 300000), at),
        x_zero(integers(c.rows, 8, -128, 127), at),
        scale(small_scales(c.params(), 9), at),
        x_scale(small_scales(c.rows, 10), at),
        bias(small_scales(c.columns, 11), at) {}

  std::size_t panel_bytes() const { return c.octets() * (bits == 8 ? 128 : 64); }
  std::size_t code_count() const { return c.panels() * panel_bytes(); }

  static std::vector<std::uint8_t> zero_points_of(const Case& c, int bits) {
    std::vector<std::uint8_t> all = random_bytes(c.params(), 6);
    if (bits == 4) std::transform(all.begin(), all.end(), all.begin(), [](std::uint8_t z) { return z & 15; });
    return all;
  }

  Output<float> multiply(const MatmulTable& table) const {
    const std::int32_t bias_of_codes = bits == 8 ? table.code_bias_8 : 0;
    const std::int32_t common_zero = bits == 8 ? 128 : 8;
    const std::int32_t factor = c.zero_points ? 1 : bias_of_codes - common_zero;
    Output<std::int8_t> x(c.octets() * 8 * c.rows, offset);
    Output<std::int32_t> sums(c.blocks() * c.rows, offset);
    table.pack_codes({c.rows, c.k, c.k, c.block}, rows.data(), factor, x.data(), sums.data());
    CHECK(x.guards_intact());
    CHECK(sums.guards_intact());
    Output<float> y(c.rows * (c.columns + 3), offset);
    IntegerProduct p = {};
    p.shape = {c.rows,    c.panels(),   c.octets(),      c.block_octets(),
               c.columns, scale.data(), c.blocks() * 16, c.bias ? bias.data() : nullptr,
               y.data(),  c.columns + 3};
    p.codes = codes.data();
    p.panel_bytes = panel_bytes();
    p.zero_point = c.zero_points ? zero_point.data() : nullptr;
    p.column_sums = column_sums.data();
    p.x = x.data();
    p.sums = sums.data();
    p.x_scale = x_scale.data();
    p.x_zero = c.x_zero ? x_zero.data() : nullptr;
    (bits == 8 ? table.multiply_8 : table.multiply_4)(p);
    return y;
  }
};

std::int64_t code_at(const Operands& o, std::size_t n, std::size_t octet, std::size_t i) {
  const std::uint8_t* panel = o.codes.data() + n / 16 * o.panel_bytes();
  const std::size_t lane = n % 16 * 4 + i % 4;
  if (o.bits == 8) return panel[octet * 128 + i / 4 * 64 + lane];
  return i < 4 ? panel[octet * 64 + lane] & 15 : panel[octet * 64 + lane] >> 4;
}

// As the header of the tables has it.
float expected_value(const Operands& o, std::size_t r, std::size_t n) {
  const Case& c = o.c;
  float total = 0;
  for (std::size_t b = 0; b < c.blocks(); ++b) {
    const std::size_t at = n / 16 * c.blocks() * 16 + b * 16 + n % 16;
    const std::int64_t z = c.zero_points ? o.zero_point.data()[at] : o.bits == 8 ? 128 : 8;
    std::int64_t sum = c.x_zero ? -static_cast<std::int64_t>(o.x_zero.data()[r]) * o.column_sums.data()[at] : 0;
    for (std::size_t i = 0; i < c.block && b * c.block + i < c.k; ++i) {
      const std::int64_t x = o.rows.data()[r * c.k + b * c.block + i];
      sum += x * (code_at(o, n, b * c.block_octets() + i / 8, i % 8) - z);
    }
    total = std::fma(static_cast<float>(static_cast<std::int32_t>(sum)), o.scale.data()[at], total);
  }
  total *= o.x_scale.data()[r];
  return c.bias ? total + o.bias.data()[n] : total;
}

}  // namespace

TEST_CASE("integer products: the reference gives the sums of its contract") {
  for (const int bits : {8, 4}) {
    for (const Case& c : cases(3)) {
      const Operands o(c, bits, 0, false);
      const Output<float> y = o.multiply(reference_matmul());
      CHECK(y.guards_intact());
      for (std::size_t r = 0; r < c.rows; ++r) {
        for (std::size_t n = 0; n < c.columns; ++n) {
          INFO(c.text(), " at ", r, ", ", n);
          REQUIRE(y[r * (c.columns + 3) + n] == expected_value(o, r, n));
        }
      }
    }
  }
}

TEST_CASE("integer products: every table agrees with the reference, extremes included") {
  for_each_matmul([](const MatmulTable& table, std::size_t offset) {
    for (const int bits : {8, 4}) {
      for (const bool saturated : {false, true}) {
        for (const Case& c : cases(table.tile_rows)) {
          const Operands o(c, bits, offset, saturated);
          check_same(o.multiply(table), o.multiply(reference_matmul()),
                     std::string(table.name) + ", " + std::to_string(bits) + " bits, " + c.text());
        }
      }
    }
  });
}

TEST_CASE("integer products: the longest block of the largest products is exact") {
  for (const MatmulTable* table : available_matmul_kernels()) {
    for (const int x : {-128, 127}) {
      for (const int zero : {0, 255}) {
        CAPTURE(table->name);
        const std::vector<std::int8_t> rows(kMaxBlock, static_cast<std::int8_t>(x));
        std::vector<std::int8_t> packed(kMaxBlock);
        std::int32_t sum = 0;
        const auto code = static_cast<std::uint8_t>(255 - zero), zero_code = static_cast<std::uint8_t>(zero);
        const std::vector<std::uint8_t> codes(kMaxBlock * 16, code), zero_point(16, zero_code);
        const std::vector<float> scale(16, 1.0f), x_scale(1, 1.0f);
        table->pack_codes({1, kMaxBlock, kMaxBlock, kMaxBlock}, rows.data(), 1, packed.data(), &sum);
        float y[16] = {};
        IntegerProduct p = {};
        p.shape = {1, 1, kMaxBlock / 8, kMaxBlock / 8, 16, scale.data(), 16, nullptr, y, 16, y, 0};
        p.codes = codes.data();
        p.zero_point = zero_point.data();
        const int w = code - zero;
        const std::vector<std::int32_t> column_sums(16, w * static_cast<std::int32_t>(kMaxBlock)), x_zero(1, -x);
        p.column_sums = column_sums.data();
        p.x = packed.data();
        p.sums = &sum;
        p.x_scale = x_scale.data();
        p.x_zero = x_zero.data();
        table->multiply_8(p);
        for (const float v : y) CHECK(v == static_cast<float>(w * 2 * x) * static_cast<float>(kMaxBlock));
      }
    }
  }
}

TEST_CASE("float products: every table agrees with the reference, and that with fused sums in the order of k") {
  for_each_matmul([](const MatmulTable& table, std::size_t offset) {
    for (const Case& c : cases(table.tile_rows)) {
      const Input<float> rows(any_values(c.rows * c.k, 1, 97), offset);
      const std::size_t numel = c.octets() * 8 * 16;
      const Input<float> weights(finite_values(c.panels() * numel, 2), offset);
      const Input<float> scale(small_scales(c.params(), 9), offset), bias(small_scales(c.columns, 11), offset);
      const auto multiply = [&](const MatmulTable& with) {
        Output<float> x(c.octets() * 8 * c.rows, offset), y(c.rows * c.columns, offset);
        with.pack_floats({c.rows, c.k, c.k, c.block}, rows.data(), x.data());
        CHECK(x.guards_intact());
        FloatProduct p = {};
        p.shape = {c.rows,    c.panels(),   c.octets(),      c.block_octets(),
                   c.columns, scale.data(), c.blocks() * 16, c.bias ? bias.data() : nullptr,
                   y.data(),  c.columns};
        p.weights = weights.data();
        p.panel_numel = numel;
        p.x = x.data();
        with.multiply_float(p);
        return y;
      };
      const Output<float> found = multiply(table), expected = multiply(reference_matmul());
      CHECK(found.guards_intact());
      for (std::size_t i = 0; i < found.size(); ++i) {
        INFO(table.name, ", ", c.text(), ", element ", i);
        REQUIRE(same(found[i], expected[i]));
      }
      for (std::size_t i = 0; i < expected.size() && c.blocks() * c.block == c.k && c.block % 8 == 0; ++i) {
        const std::size_t r = i / c.columns, n = i % c.columns;
        float total = 0;
        for (std::size_t b = 0; b < c.blocks(); ++b) {
          float t = 0;
          for (std::size_t k = b * c.block; k < (b + 1) * c.block; ++k) {
            t = std::fma(rows.data()[r * c.k + k], weights.data()[n / 16 * numel + k * 16 + n % 16], t);
          }
          total = std::fma(t, scale.data()[n / 16 * c.blocks() * 16 + b * 16 + n % 16], total);
        }
        if (c.bias) total += bias.data()[n];
        REQUIRE(same(expected[i], total));
      }
    }
  });
}

TEST_CASE("float products of codes: what the panels decoded before give") {
  for (const MatmulTable* table : available_matmul_kernels()) {
    for (const int bits : {8, 4}) {
      for (const Case& c : cases(table->tile_rows)) {
        for (const std::size_t offset : {0, 1}) {
          const Operands o(c, bits, offset, false);
          const Input<float> rows(finite_values(c.rows * c.k, 1), offset);
          Output<float> x(c.octets() * 8 * c.rows, offset);
          table->pack_floats({c.rows, c.k, c.k, c.block}, rows.data(), x.data());
          Output<float> found(c.rows * c.columns, offset), expected(c.rows * c.columns, offset);
          const std::uint8_t* zero = c.zero_points ? o.zero_point.data() : nullptr;
          CodedProduct p = {};
          p.shape = {c.rows,       c.panels(),     c.octets(),      c.block_octets(),
                     c.columns,    o.scale.data(), c.blocks() * 16, c.bias ? o.bias.data() : nullptr,
                     found.data(), c.columns,      nullptr,         0};
          p.codes = o.codes.data();
          p.panel_bytes = o.panel_bytes();
          p.zero_point = zero;
          p.zero_point_of_all = 8;
          p.x = x.data();
          (bits == 8 ? table->multiply_float_8 : table->multiply_float_4)(p);
          const std::size_t numel = c.octets() * 128;
          std::vector<float> weights(c.panels() * numel);
          for (std::size_t panel = 0; panel < c.panels(); ++panel) {
            (bits == 8 ? reference_matmul().floats_of_8 : reference_matmul().floats_of_4)(
                p.codes + panel * p.panel_bytes, c.octets(), c.block_octets(),
                zero != nullptr ? zero + panel * c.blocks() * 16 : nullptr, 8, weights.data() + panel * numel);
          }
          FloatProduct plain = {p.shape, weights.data(), numel, x.data()};
          plain.shape.y = expected.data();
          reference_matmul().multiply_float(plain);
          check_same(found, expected, std::string(table->name) + ", " + std::to_string(bits) + " bits, " + c.text());
        }
      }
    }
  }
}

TEST_CASE("panels of codes: every table expands and decodes them as the reference does") {
  for_each_matmul([](const MatmulTable& table, std::size_t offset) {
    for (const std::size_t octets : {1, 2, 5, 16}) {
      for (const std::size_t block : {1, 4, 16}) {
        const std::string where = std::string(table.name) + ", " + std::to_string(octets) + " octets";
        const Input<std::uint8_t> codes(random_bytes(octets * 128, 1), offset);
        const Input<std::uint8_t> zero(random_bytes((octets + block - 1) / block * 16, 2), offset);
        const std::size_t n = octets * 128;
        Output<std::uint8_t> bytes(n, offset), bytes_expected(n, offset);
        table.expand_4(codes.data(), octets, bytes.data());
        reference_matmul().expand_4(codes.data(), octets, bytes_expected.data());
        check_same(bytes, bytes_expected, where);
        for (const std::uint8_t* z : {zero.data(), static_cast<const std::uint8_t*>(nullptr)}) {
          Output<float> of_8(n, offset), of_8_expected(n, offset), of_4(n, offset), of_4_expected(n, offset);
          table.floats_of_8(codes.data(), octets, block, z, 128, of_8.data());
          reference_matmul().floats_of_8(codes.data(), octets, block, z, 128, of_8_expected.data());
          check_same(of_8, of_8_expected, where);
          table.floats_of_4(codes.data(), octets, block, z, 8, of_4.data());
          reference_matmul().floats_of_4(codes.data(), octets, block, z, 8, of_4_expected.data());
          check_same(of_4, of_4_expected, where);
        }
      }
    }
  });
}
