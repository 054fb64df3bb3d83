#include <benchmark/benchmark.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "bench/compare.hpp"
#include "bench/meter.hpp"
#include "bench/peak.hpp"
#include "bench/roofline.hpp"
#include "bench/rows.hpp"
#include "bench/table_reporter.hpp"
#include "mq/error.hpp"

namespace {

using mq::Error;
using mq::ErrorCode;

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error({.code = ErrorCode::Io, .message = "cannot be read", .file = path});
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return;
  throw Error({.code = ErrorCode::Usage,
               .message = std::string("--pin: ") + std::strerror(errno),
               .expected = "a processor that this process may use",
               .found = std::to_string(cpu)});
}

void write_svg(const std::string& path, const std::vector<mq::bench::RooflinePoint>& points) {
  using mq::bench::roof_seconds;
  const auto bandwidth = [](std::size_t bytes) { return static_cast<double>(bytes) / roof_seconds(bytes, 0); };
  const mq::bench::Roofs roofs{
      .bandwidths = {{"memory", bandwidth(std::size_t{256} << 20)}, {"L2", bandwidth(std::size_t{512} << 10)}},
      .arithmetics = {{"dot product of bytes", mq::bench::peak_dot_operations()},
                      {"fused multiply-add of floats", mq::bench::peak_float_operations()}}};
  std::ofstream out(path);
  write_roofline(roofs, points, out);
  if (!out.flush()) throw Error({.code = ErrorCode::Io, .message = "cannot be written", .file = path});
}

int compare(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) throw Error(ErrorCode::Usage, "compare takes two files: OLD.json NEW.json");
  const auto changes = mq::bench::compare_runs(read_text(arguments[1]), read_text(arguments[2]));
  return print_changes(changes, std::cout) ? 1 : 0;
}

int run(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "compare") return compare(arguments);
  mq::bench::Options options = mq::bench::parse_options(arguments);
  if (options.help) {
    std::cout << mq::bench::usage();
    return 0;
  }
  if (options.pin) pin_to(*options.pin);
  if (options.perf) mq::bench::use_perf_counters();
  std::vector<std::string> passed = options.passed;
  passed.insert(passed.begin(), "mq-bench");
  std::vector<char*> argv;
  for (std::string& argument : passed) argv.push_back(argument.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) return mq::exit_code(ErrorCode::Usage);
  mq::bench::register_kernels(options);
  mq::bench::register_encodings(options);
  mq::bench::register_products(options);
  mq::bench::TableReporter table;
  benchmark::RunSpecifiedBenchmarks(&table);
  if (!options.svg.empty()) write_svg(options.svg, table.points());
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const Error& error) {
    std::cerr << "mq-bench: " << error.what() << '\n';
    return mq::exit_code(error.code());
  }
}
