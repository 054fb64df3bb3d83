// Self-test: products of packed activations and packed weights.
#include <cmath>

#include "src/selftest_checks.hpp"
#include "src/selftest_data.hpp"

namespace mq::detail {
namespace {

using kernels::kOctet;
using kernels::kPanelColumns;
using kernels::MatmulTable;

// Sizes of a product, and what its operands have.
struct Product {
  std::size_t rows, columns, k, block;
  bool zero_points, x_zero, bias;
  bool saturated;  // the largest codes of both signs

  std::size_t panels() const { return (columns + kPanelColumns - 1) / kPanelColumns; }
  std::size_t blocks() const { return (k + block - 1) / block; }
  std::size_t block_octets() const { return (block + kOctet - 1) / kOctet; }
  std::size_t octets() const { return (blocks() - 1) * block_octets() + ((k - 1) % block + kOctet) / kOctet; }
  std::size_t stride() const { return blocks() * kPanelColumns; }
  std::size_t params() const { return panels() * stride(); }
  std::size_t panel_numel() const { return octets() * kOctet * kPanelColumns; }
  kernels::RowsToPack to_pack() const { return {rows, k, k, block}; }
  std::string text() const {
    return std::to_string(rows) + " x " + std::to_string(columns) + " x " + std::to_string(k) + " in blocks of " +
           std::to_string(block);
  }
};

std::vector<Product> products(std::size_t tile_rows) {
  std::vector<Product> all;
  for (std::size_t rows = 1; rows <= tile_rows; ++rows) {
    const bool odd = rows % 2 == 1;
    all.push_back({rows, 50, 96, 32, true, odd, odd, false});
    all.push_back({rows, 33, 41, 41, false, !odd, true, odd});
  }
  all.push_back({1, 1, 1, 1, true, true, true, true});
  all.push_back({tile_rows, 65, 21, 7, true, true, true, false});
  all.push_back({tile_rows, 48, 1000, 1000, true, true, false, true});
  return all;
}

struct Operands {
  Operands(const Product& product, int code_bits, std::size_t offset)
      : p(product),
        bits(code_bits),
        rows(codes_of_rows(product), offset),
        codes(product.saturated ? std::vector<std::uint8_t>(code_count(), 255) : any_bytes(code_count(), 41), offset),
        zero_point(zero_points(product.params(), code_bits), offset),
        column_sums(integers(product.params(), 42, -300000, 300000), offset),
        x_zero(integers(product.rows, 43, -128, 127), offset),
        scale(scale_numbers(product.params(), 44, false), offset),
        x_scale(scale_numbers(product.rows, 45, false), offset),
        bias(modest_numbers(product.columns, 46), offset) {}

  std::size_t panel_bytes() const { return p.panel_numel() * static_cast<std::size_t>(bits) / 8; }
  std::size_t code_count() const { return p.panels() * panel_bytes(); }

  kernels::ProductShape shape(float* y) const {
    return {.rows = p.rows,
            .panels = p.panels(),
            .octets = p.octets(),
            .block_octets = p.block_octets(),
            .columns = p.columns,
            .scale = scale.data(),
            .params_stride = p.stride(),
            .bias = p.bias ? bias.data() : nullptr,
            .y = y,
            .y_stride = p.columns,
            .prefetch = codes.data(),
            .prefetch_step = 0};
  }

  static std::vector<std::int8_t> codes_of_rows(const Product& p) {
    std::vector<std::int8_t> all;
    const std::vector<std::uint8_t> bytes = any_bytes(p.rows * p.k, 47);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::int8_t extreme = i / p.k % 2 == 0 ? -128 : 127;
      all.push_back(p.saturated ? extreme : static_cast<std::int8_t>(bytes[i]));
    }
    return all;
  }
  static std::vector<std::uint8_t> zero_points(std::size_t n, int bits) {
    std::vector<std::uint8_t> all = any_bytes(n, 48);
    for (std::uint8_t& z : all) z = static_cast<std::uint8_t>(z & (bits == 4 ? 15 : 255));
    return all;
  }

  Product p;
  int bits;
  Shifted<std::int8_t> rows;
  Shifted<std::uint8_t> codes, zero_point;
  Shifted<std::int32_t> column_sums, x_zero;
  Shifted<float> scale, x_scale, bias;
};

void multiply_integers(const MatmulTable& table, const Operands& o, float* y) {
  const std::int32_t bias = o.bits == 8 ? table.code_bias_8 : 0, common_zero = o.bits == 8 ? 128 : 8;
  std::vector<std::int8_t> x(o.p.octets() * kOctet * o.p.rows);
  std::vector<std::int32_t> sums(o.p.blocks() * o.p.rows);
  table.pack_codes(o.p.to_pack(), o.rows.data(), o.p.zero_points ? 1 : bias - common_zero, x.data(), sums.data());
  const kernels::IntegerProduct product = {.shape = o.shape(y),
                                           .codes = o.codes.data(),
                                           .panel_bytes = o.panel_bytes(),
                                           .zero_point = o.p.zero_points ? o.zero_point.data() : nullptr,
                                           .column_sums = o.column_sums.data(),
                                           .x = x.data(),
                                           .sums = sums.data(),
                                           .x_scale = o.x_scale.data(),
                                           .x_zero = o.p.x_zero ? o.x_zero.data() : nullptr};
  (o.bits == 8 ? table.multiply_8 : table.multiply_4)(product);
}

void multiply_coded(const MatmulTable& table, const Operands& o, const float* rows, float* y) {
  std::vector<float> x(o.p.octets() * kOctet * o.p.rows);
  table.pack_floats(o.p.to_pack(), rows, x.data());
  const kernels::CodedProduct product = {.shape = o.shape(y),
                                         .codes = o.codes.data(),
                                         .panel_bytes = o.panel_bytes(),
                                         .zero_point = o.p.zero_points ? o.zero_point.data() : nullptr,
                                         .zero_point_of_all = 8,
                                         .x = x.data()};
  (o.bits == 8 ? table.multiply_float_8 : table.multiply_float_4)(product);
}

void multiply_floats(const MatmulTable& table, const Operands& o, const float* rows, const float* weights, float* y) {
  std::vector<float> x(o.p.octets() * kOctet * o.p.rows);
  table.pack_floats(o.p.to_pack(), rows, x.data());
  table.multiply_float({o.shape(y), weights, o.p.panel_numel(), x.data()});
}

void check_packing(ProductChecks& checks, const Operands& o, const float* rows, std::size_t offset) {
  const Product& p = o.p;
  const std::size_t n = p.octets() * kOctet * p.rows;
  checks.same<std::int8_t>("pack_codes", p.text(), offset, n, [&](const MatmulTable& table, std::int8_t* out) {
    std::vector<std::int32_t> sums(p.blocks() * p.rows);
    table.pack_codes(p.to_pack(), o.rows.data(), 3, out, sums.data());
  });
  checks.same<std::int32_t>("pack_codes", p.text() + ", sums", offset, p.blocks() * p.rows,
                            [&](const MatmulTable& table, std::int32_t* out) {
                              std::vector<std::int8_t> packed(n);
                              table.pack_codes(p.to_pack(), o.rows.data(), 3, packed.data(), out);
                            });
  checks.same<float>("pack_floats", p.text(), offset, n,
                     [&](const MatmulTable& table, float* out) { table.pack_floats(p.to_pack(), rows, out); });
}

void check_panel(ProductChecks& checks, const Operands& o, std::size_t offset) {
  const Product& p = o.p;
  const std::size_t n = p.panel_numel();
  const std::uint8_t* zero = p.zero_points ? o.zero_point.data() : nullptr;
  if (o.bits == 4) {
    checks.same<std::uint8_t>("expand_4", p.text(), offset, n, [&](const MatmulTable& table, std::uint8_t* out) {
      table.expand_4(o.codes.data(), p.octets(), out);
    });
  }
  checks.same<float>(o.bits == 8 ? "floats_of_8" : "floats_of_4", p.text(), offset, n,
                     [&](const MatmulTable& table, float* out) {
                       (o.bits == 8 ? table.floats_of_8 : table.floats_of_4)(o.codes.data(), p.octets(),
                                                                             p.block_octets(), zero, 8, out);
                     });
}

}  // namespace

void check_products(ProductChecks& checks) {
  for (const Product& p : products(checks.table().tile_rows)) {
    const std::size_t n = p.rows * p.columns;
    for (const std::size_t offset : {0, 1}) {
      const Shifted rows(modest_numbers(p.rows * p.k, 49), offset);
      const Shifted weights(modest_numbers(p.panels() * p.panel_numel(), 50), offset);
      for (const int bits : {8, 4}) {
        const Operands o(p, bits, offset);
        if (bits == 8) check_packing(checks, o, rows.data(), offset);
        check_panel(checks, o, offset);
        checks.same<float>(bits == 8 ? "multiply_8" : "multiply_4", p.text(), offset, n,
                           [&](const MatmulTable& table, float* y) { multiply_integers(table, o, y); });
        checks.same<float>(bits == 8 ? "multiply_float_8" : "multiply_float_4", p.text(), offset, n,
                           [&](const MatmulTable& table, float* y) { multiply_coded(table, o, rows.data(), y); });
      }
      const Operands o(p, 8, offset);
      checks.same<float>("multiply_float", p.text(), offset, n, [&](const MatmulTable& table, float* y) {
        multiply_floats(table, o, rows.data(), weights.data(), y);
      });
    }
  }
}

}  // namespace mq::detail
