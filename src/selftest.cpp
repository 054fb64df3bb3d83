#include "mq/selftest.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "mq/cpu.hpp"
#include "mq/matmul.hpp"
#include "src/selftest.hpp"
#include "src/selftest_checks.hpp"

namespace mq {
namespace detail {
namespace {

// Of "key : value" lines as Linux has them in /proc/cpuinfo, the first value of the key.
std::string value_of(const std::string& text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string_view::npos && colon + 2 <= line.size()) {
      return std::string(line.substr(colon + 2));
    }
    at = end + 1;
  }
  return {};
}

// Arm's processors have numbers there and no names.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string text;
  for (std::string line; std::getline(file, line) && !line.empty();) text += line + '\n';
  const std::string name = value_of(text, "model name");
  const std::string implementer = value_of(text, "CPU implementer");
  if (!name.empty() || implementer.empty()) return name;
  return "Arm, implementer " + implementer + ", part " + value_of(text, "CPU part");
}

void check_kernels(const kernels::KernelTable& table, const kernels::KernelTable& reference, SelftestIsa& isa) {
  KernelChecks checks(table, reference, isa.kernel_checks, isa);
  check_codecs(checks);
  check_floats(checks);
  check_bytes(checks);
  check_searches(checks);
}

}  // namespace

std::vector<SelftestIsa> check_tables(KernelTables tables, MatmulTables products) {
  std::vector<SelftestIsa> rows;
  for (const kernels::MatmulTable* product : products.first(products.size() - 1)) {
    SelftestIsa row = {.name = product->name};
    for (const kernels::KernelTable* table : tables.first(tables.size() - 1)) {
      if (row.name == table->name) check_kernels(*table, *tables.back(), row);
    }
    ProductChecks checks(*product, *products.back(), row.product_checks, row);
    check_products(checks);
    rows.push_back(std::move(row));
  }
  return rows;
}

SelftestReport selftest_of(KernelTables tables, MatmulTables products, Executor& executor) {
  return {.cpu = cpu_name(),
          .processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency())),
          .usable_processors = usable_processors(),
          .isa = std::string(active_isa()),
          .matmul_isa = std::string(active_matmul_isa()),
          .isas = check_tables(tables, products),
          .threads = executor.concurrency(),
          .bandwidth = measure_bandwidth(executor)};
}

}  // namespace detail

bool SelftestReport::passed() const noexcept {
  return std::all_of(isas.begin(), isas.end(), [](const SelftestIsa& row) { return row.differences == 0; });
}

}  // namespace mq
