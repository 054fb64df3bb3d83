#include "mq/error.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

std::string rate(double bytes_per_second) {
  return bytes_per_second > 0 ? fixed(bytes_per_second / 1e9, 1) + " GB/s" : "not measured";
}

json::Value rate_value(double bytes_per_second) {
  return bytes_per_second > 0 ? json::Value(bytes_per_second) : json::Value();
}

std::int64_t checks_of(const SelftestIsa& isa) {
  return isa.kernel_checks + isa.product_checks;
}

}  // namespace

std::string to_text(const SelftestReport& report, const Style&) {
  std::string text = "processor: " + (report.cpu.empty() ? "unknown" : printable(report.cpu)) + ", " +
                     std::to_string(report.usable_processors) + " of " + std::to_string(report.processors) +
                     " usable\ninstruction set in use: " + report.isa + ", for products " + report.matmul_isa + "\n";
  const std::string threads = plural(report.threads, "thread");
  text += "memory: read " + rate(report.bandwidth.read_one) + ", copied " + rate(report.bandwidth.copy_one) +
          " (both directions), with " + threads + " read " + rate(report.bandwidth.read_all) + "\n\n";
  Table table({{"instruction set"}, {"checks", true}, {"of products", true}, {"differences", true}, {"result"}});
  for (const SelftestIsa& isa : report.isas) {
    table.add({isa.name, human_count(checks_of(isa)), human_count(isa.product_checks), human_count(isa.differences),
               isa.differences == 0 ? "equal to the reference" : "WRONG"});
  }
  table.add({"reference", "", "", "", "what the others are held against"});
  text += table.text();
  for (const SelftestIsa& isa : report.isas) {
    for (const std::string& failure : isa.failures) text += "different: " + isa.name + ": " + failure + "\n";
  }
  return text;
}

json::Value to_json(const SelftestReport& report) {
  json::Value value;
  value.set("cpu", report.cpu.empty() ? json::Value() : json::Value(report.cpu));
  value.set("processors", static_cast<std::int64_t>(report.processors));
  value.set("usable_processors", static_cast<std::int64_t>(report.usable_processors));
  value.set("isa", report.isa);
  value.set("matmul_isa", report.matmul_isa);
  value.set("threads", static_cast<std::int64_t>(report.threads));
  json::Value bandwidth;
  bandwidth.set("read_bytes_per_second", rate_value(report.bandwidth.read_one));
  bandwidth.set("copy_bytes_per_second", rate_value(report.bandwidth.copy_one));
  bandwidth.set("read_bytes_per_second_all_threads", rate_value(report.bandwidth.read_all));
  value.set("bandwidth", std::move(bandwidth));
  json::Array isas;
  for (const SelftestIsa& isa : report.isas) {
    json::Value row;
    row.set("name", isa.name);
    row.set("checks", checks_of(isa));
    row.set("product_checks", isa.product_checks);
    row.set("differences", isa.differences);
    row.set("failures", string_array(isa.failures));
    isas.push_back(std::move(row));
  }
  value.set("isas", std::move(isas));
  value.set("passed", report.passed());
  return value;
}

}  // namespace mq::tool
