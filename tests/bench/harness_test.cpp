#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "bench/compare.hpp"
#include "bench/options.hpp"
#include "bench/roofline_plot.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using bench::RowChange;
using test::code_of;
using test::message_of;

namespace {

bench::Options parse(std::vector<std::string> arguments) {
  return bench::parse_options(arguments);
}

// Rows as Google Benchmark writes them, in nanoseconds.
std::string rows(const std::vector<std::pair<const char*, std::vector<int>>>& list) {
  std::string text = R"({"context": {}, "benchmarks": [)";
  const char* separator = "";
  for (const auto& [name, times] : list) {
    for (const int time : times) {
      text += std::string(separator) + R"({"name": "x", "run_name": ")" + name +
              R"(", "run_type": "iteration", "cpu_time": )" + std::to_string(time) + R"(, "time_unit": "ns"})";
      separator = ",";
    }
  }
  return text + "]}";
}

}  // namespace

TEST_CASE("mq-bench: options for the rows, options for Google Benchmark") {
  const bench::Options options =
      parse({"--filter", "matmul", "--isa", "avx2", "--isa", "neon", "--shape", "32x128x4096", "--cold", "--perf",
             "--pin", "3", "--json", "a.json", "--svg", "a.svg", "--repetitions", "5", "--benchmark_min_time=0.1"});
  CHECK(options.wants("avx2"));
  CHECK_FALSE(options.wants("reference"));
  CHECK(bench::Options().wants("reference"));
  CHECK(options.shapes == std::vector<bench::ProductShape>{{32, 128, 4096}});
  CHECK(options.cold);
  CHECK(options.perf);
  CHECK(options.pin == 3);
  CHECK(options.svg == "a.svg");
  CHECK(options.passed == std::vector<std::string>{"--benchmark_filter=matmul", "--benchmark_out=a.json",
                                                   "--benchmark_out_format=json", "--benchmark_repetitions=5",
                                                   "--benchmark_min_time=0.1"});
}

TEST_CASE("mq-bench: shapes of a checkpoint's matrices, each once") {
  const bench::Options options = parse({"--shapes-from", (test::data_dir() / "cnn" / "cnn.pt").string()});
  REQUIRE_FALSE(options.shapes.empty());
  CHECK(options.shapes.size() % 2 == 0);
  CHECK(std::ranges::find(options.shapes, bench::ProductShape{32, 10, 64}) != options.shapes.end());
}

TEST_CASE("mq-bench: a command line that cannot be run is refused, naming the option") {
  for (const char* option : {"--filter", "--isa", "--shape", "--pin", "--json", "--svg", "--shapes-from"}) {
    CAPTURE(option);
    CHECK(message_of([&] { parse({option}); }).find(option) != std::string::npos);
  }
  for (const char* shape : {"3x4", "3x4x5x6", "0x4x5", "3x-4x5", "x4x5", "3x4x5 "}) {
    CHECK(code_of([&] { parse({"--shape", shape}); }) == ErrorCode::Usage);
  }
  CHECK(code_of([] { parse({"--pin", "-1"}); }) == ErrorCode::Usage);
  CHECK(message_of([] { parse({"--fliter", "x"}); }).find("--fliter") != std::string::npos);
  CHECK(code_of([] { parse({"--shapes-from", "no such file"}); }) == ErrorCode::Io);
}

TEST_CASE("mq-bench compare: what is beyond the noise, and what only one run has") {
  const auto changes = bench::compare_runs(rows({{"same", {100, 101, 102}},
                                                 {"slow", {100, 100, 101}},
                                                 {"fast", {100, 100, 101}},
                                                 {"wild", {100, 150, 90}},
                                                 {"once", {100}},
                                                 {"gone", {100}}}),
                                           rows({{"same", {102, 102, 103}},
                                                 {"slow", {110, 110, 111}},
                                                 {"fast", {90, 90, 91}},
                                                 {"wild", {120, 125, 110}},
                                                 {"once", {108}},
                                                 {"new", {100}}}));
  using enum RowChange::Verdict;
  const std::vector<std::pair<std::string, RowChange::Verdict>> expected = {
      {"same", Same}, {"slow", Slower}, {"fast", Faster}, {"wild", Same},
      {"once", Same}, {"new", OnlyNew}, {"gone", OnlyOld}};
  REQUIRE(changes.size() == expected.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(changes[i].name);
    CHECK(changes[i].name == expected[i].first);
    CHECK(changes[i].verdict == expected[i].second);
  }
  CHECK(changes[1].new_seconds == doctest::Approx(110e-9));
  std::ostringstream out;
  CHECK(bench::print_changes(changes, out));
  CHECK(out.str().find("SLOWER") != std::string::npos);
  CHECK_FALSE(bench::print_changes({changes[0], changes[2]}, out));
}

TEST_CASE("mq-bench compare: other files are refused") {
  for (const char* text : {"{}", R"({"benchmarks": 3})", R"({"benchmarks": [{"name": "a"}]})",
                           R"({"benchmarks": [{"name": "a", "cpu_time": 1, "time_unit": "h"}]})"}) {
    CAPTURE(text);
    CHECK(code_of([&] { bench::compare_runs(text, rows({})); }) == ErrorCode::Corrupt);
  }
}

TEST_CASE("a roofline plot has a line for each roof and a point for each row") {
  std::ostringstream out;
  bench::write_roofline({.bandwidths = {{"memory", 1e10}}, .arithmetics = {{"a < b", 1e12}}},
                        {{"one & two", 10, 5e10}, {"unknown", 0, 0}}, out);
  const std::string svg = out.str();
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(svg.find("memory") != std::string::npos);
  CHECK(svg.find("a &lt; b") != std::string::npos);
  CHECK(svg.find("<title>one &amp; two</title>") != std::string::npos);
  CHECK(svg.find("unknown") == std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
}
