#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "mq/cpu.hpp"
#include "mq/matmul.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

// The tool with a wrong kernel in it (wrong_selftest.cpp).
Outcome run_wrong(const std::string& arguments) {
  const TempDir dir;
  const std::string out = (dir / "out").string(), err = (dir / "err").string();
  const int status = std::system((MQ_CONVERT_WRONG " " + arguments + " >" + out + " 2>" + err).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, read_file(out), read_file(err)};
}

}  // namespace

TEST_CASE("selftest names the machine and every instruction set, and succeeds") {
  const Outcome outcome = run_tool({"selftest"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CAPTURE(outcome.out);
  CHECK(contains(outcome.out, "processor: "));
  CHECK(contains(outcome.out, "instruction set in use: " + std::string(active_isa())));
  CHECK(contains(outcome.out, "for products " + std::string(active_matmul_isa())));
  CHECK(contains(outcome.out, "memory: read "));
  CHECK(contains(outcome.out, " GB/s"));
  CHECK(!contains(outcome.out, "WRONG"));
  for (const std::string_view isa : available_isas()) CHECK(contains(outcome.out, "\n" + std::string(isa) + " "));
}

TEST_CASE("selftest --json carries all of it") {
  const json::Value value = parse_output(run_tool({"selftest", "--json", "--threads", "1"}));
  CHECK(*at(value, {"ok"}).as_bool());
  CHECK(*at(value, {"selftest", "passed"}).as_bool());
  CHECK(text_at(value, {"selftest", "isa"}) == active_isa());
  CHECK(text_at(value, {"selftest", "matmul_isa"}) == active_matmul_isa());
  CHECK(number_at(value, {"selftest", "usable_processors"}) >= 1);
  CHECK(number_at(value, {"selftest", "threads"}) == 1);
  CHECK(number_at(value, {"selftest", "bandwidth", "read_bytes_per_second"}) > 1e6);
  CHECK(at(value, {"selftest", "cpu"}).as_string() != nullptr);
  for (const json::Value& isa : *at(value, {"selftest", "isas"}).as_array()) {
    CHECK(number_at(isa, {"checks"}) > 100);
    CHECK(number_at(isa, {"differences"}) == 0);
    CHECK(at(isa, {"failures"}).as_array()->empty());
  }
}

TEST_CASE("selftest: a kernel that gives other bits is named, with exit code 4") {
  const Outcome outcome = run_wrong("selftest");
  CHECK(outcome.exit_code == 4);
  CHECK(is_one_error_line(outcome.err));
  for (const char* part : {"kernels of wrong", "quantize_8 of 1 x 64, offset 0: element 63 of 64", "MQ_FORCE_ISA"}) {
    CAPTURE(std::string(part));
    CHECK(contains(outcome.err, part));
  }
  CHECK(contains(outcome.out, "WRONG"));
  CHECK(contains(outcome.out, "different: wrong: quantize_8 of 1 x 64"));

  const Outcome json = run_wrong("selftest --json");
  CHECK(json.exit_code == 4);
  const json::Value value = parse_output(json);
  CHECK(!*at(value, {"ok"}).as_bool());
  CHECK(!*at(value, {"selftest", "passed"}).as_bool());
  CHECK(text_at(value, {"error", "code"}) == "mismatch");
  const json::Value& isa = at(value, {"selftest", "isas"}).as_array()->front();
  CHECK(number_at(isa, {"differences"}) > 1);
  CHECK(at(isa, {"failures"}).as_array()->size() == 1);
}

TEST_CASE("selftest takes no file") {
  const Outcome outcome = run_tool({"selftest", "model.pt"});
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.err, "one argument too many: model.pt"));
}
