// The self-test: it passes on this machine, looks at every kernel there is, and sees what a wrong one does.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "kernels/dispatch.hpp"
#include "mq/cpu.hpp"
#include "src/selftest.hpp"
#include "tests/support/silent_kernels.hpp"

using namespace mq;
using namespace mq::test;
using kernels::KernelTable;
using kernels::MatmulTable;

namespace {

const KernelTable& reference() {
  return *kernels::available_kernels().back();
}
const MatmulTable& reference_products() {
  return *kernels::available_matmul_kernels().back();
}

// The reference under another name, so that it is tested like any other.
KernelTable kernel_table() {
  KernelTable table = reference();
  table.name = "changed";
  return table;
}
MatmulTable product_table() {
  MatmulTable table = reference_products();
  table.name = "changed";
  return table;
}

SelftestIsa check(const KernelTable& table, const MatmulTable& products) {
  const KernelTable* const tables[] = {&table, &reference()};
  const MatmulTable* const product_tables[] = {&products, &reference_products()};
  const std::vector<SelftestIsa> rows = detail::check_tables(tables, product_tables);
  REQUIRE(rows.size() == 1);
  return rows[0];
}

// The kernel that a failure is about.
std::string kernel_of(const std::string& failure) {
  return failure.substr(0, failure.find(' '));
}

std::vector<std::string> kernels_of(const SelftestIsa& isa) {
  std::vector<std::string> names;
  for (const std::string& failure : isa.failures) names.push_back(kernel_of(failure));
  std::ranges::sort(names);
  return names;
}

void write_beside(const std::uint8_t* codes, std::size_t n, std::uint8_t* packed) noexcept {
  reference().pack_4(codes, n, packed);
  packed[(n + 1) / 2] = 0;
}

// Wrong for the largest codes only, as a product that saturates is.
void saturate(const kernels::IntegerProduct& p) noexcept {
  reference_products().multiply_8(p);
  if (p.codes[0] == 255 && p.shape.octets > 100) p.shape.y[0] += 1;
}

}  // namespace

TEST_CASE("selftest: every table of this machine gives the bits of the reference") {
  const SelftestReport report = selftest();
  CHECK(report.passed());
  CHECK(report.isa == active_isa());
  CHECK(report.processors >= report.usable_processors);
  CHECK(report.threads == 1);
  CHECK(report.bandwidth.read_one > 0);
  CHECK(report.bandwidth.copy_one > 0);
  CHECK(report.bandwidth.read_all > 0);
  std::vector<std::string> names;
  for (const SelftestIsa& isa : report.isas) {
    CAPTURE(isa.name);
    CHECK(isa.product_checks > 100);
    CHECK(isa.differences == 0);
    CHECK(isa.failures.empty());
    if (isa.kernel_checks > 1000) names.push_back(isa.name);
  }
  names.emplace_back("reference");
  const std::vector<std::string_view> available = available_isas();
  CHECK(std::ranges::equal(names, available));
  CHECK(report.isas.size() + 1 == kernels::available_matmul_kernels().size());
}

TEST_CASE("selftest: the reference under another name passes") {
  const SelftestIsa isa = check(kernel_table(), product_table());
  CHECK(isa.name == "changed");
  CHECK(isa.differences == 0);
  CHECK(isa.kernel_checks > 1000);
  CHECK(isa.product_checks > 100);
}

TEST_CASE("selftest: every kernel is missed when it does nothing") {
  KernelTable table = kernel_table();
  std::vector<std::string> names = silence_all(table);
  // No kernel is left out of the list.
  CHECK(sizeof(KernelTable) == offsetof(KernelTable, range) + names.size() * sizeof(void (*)()));
  std::ranges::sort(names);
  CHECK(kernels_of(check(table, product_table())) == names);

  MatmulTable products = product_table();
  std::vector<std::string> product_names = silence_all(products);
  CHECK(sizeof(MatmulTable) == offsetof(MatmulTable, pack_codes) + product_names.size() * sizeof(void (*)()));
  std::ranges::sort(product_names);
  CHECK(kernels_of(check(kernel_table(), products)) == product_names);
}

TEST_CASE("selftest: one wrong element is found, and a byte written beside the output") {
  KernelTable table = kernel_table();
  table.pack_4 = write_beside;
  const SelftestIsa beside = check(table, product_table());
  REQUIRE(beside.failures.size() == 1);
  CHECK(beside.failures[0].starts_with("pack_4 of 1, offset 0: outside of its output"));
  CHECK(beside.differences > 1);
  CHECK(beside.differences < beside.kernel_checks);

  MatmulTable products = product_table();
  products.multiply_8 = saturate;
  const SelftestIsa saturated = check(kernel_table(), products);
  REQUIRE(saturated.failures.size() == 1);
  CHECK(saturated.failures[0].starts_with("multiply_8 of "));
  CHECK(saturated.failures[0].find("element 0 of ") != std::string::npos);
}
