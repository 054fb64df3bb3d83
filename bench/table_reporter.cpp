#include "bench/table_reporter.hpp"

#include <array>
#include <cstdio>
#include <ostream>

namespace mq::bench {
namespace {

double counter(const benchmark::UserCounters& counters, const char* name) {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second.value;
}

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string time_text(double seconds) {
  if (seconds < 1e-6) return format("%8.1f ns", seconds * 1e9);
  if (seconds < 1e-3) return format("%8.2f us", seconds * 1e6);
  return format("%8.2f ms", seconds * 1e3);
}

// The first of the counters that say what share of a limit is reached.
std::string share_text(const benchmark::UserCounters& counters) {
  std::string text;
  for (const auto& [name, limit] :
       {std::pair{"pct_of_roof", "moving"}, std::pair{"pct_of_peak", "peak"}, std::pair{"pct_of_read", "reading"}}) {
    if (const double share = counter(counters, name); share > 0) text += format("  %5.1f %% of ", share) + limit;
  }
  return text;
}

}  // namespace

bool TableReporter::ReportContext(const Context&) {
  return true;
}

void TableReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    std::ostream& out = GetOutputStream();
    std::string line = run.benchmark_name();
    line.resize(std::max<std::size_t>(line.size() + 1, 56), ' ');
    if (run.error_occurred) {
      out << line << run.error_message << '\n';
      continue;
    }
    const double gops = counter(run.counters, "GOP/s"), bytes = counter(run.counters, "bytes_per_second");
    const double passes = run.iterations == 0 ? 1 : static_cast<double>(run.iterations);
    line += time_text(run.cpu_accumulated_time / passes);
    line += gops > 0 ? format("%9.1f GOP/s", gops) : bytes > 0 ? format("%9.2f GB/s ", bytes * 1e-9) : "";
    line += share_text(run.counters);
    if (const double rate = counter(run.counters, "instructions_per_cycle"); rate > 0) {
      line += format("  %.2f instructions/cycle", rate);
    }
    out << line << std::endl;
    const double intensity = counter(run.counters, "ops_per_byte");
    if (intensity > 0) points_.push_back({run.benchmark_name(), intensity, gops * 1e9});
  }
}

}  // namespace mq::bench
