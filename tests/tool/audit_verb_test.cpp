#include <doctest/doctest.h>

#include "tests/support/paths.hpp"
#include "tests/support/zip_builder.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kModule = (data_dir() / "pt" / "module_full.pt").string();

std::string evil_file(const TempDir& dir) {
  PickleBuilder pickle;
  pickle.proto().global("os", "system").text("id").raw("\x85").reduce();
  return write_file(dir / "evil.pt", torch_bytes({.pickle = std::move(pickle).stop(), .storages = {}})).string();
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("a file without danger: code 0, and what is in it") {
  const Outcome outcome = run_tool({"audit", kModule});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(first_line(outcome.out) == "no code of its own: 39 tensor rebuild calls, 11 foreign names kept as data");
  CHECK(contains(outcome.out, "torch._utils._rebuild_tensor_v2"));
  CHECK(outcome.out.find("inert ") < outcome.out.find("known "));
}

TEST_CASE("a dangerous file: code 4, the call first, with its offset") {
  const TempDir dir;
  const Outcome outcome = run_tool({"audit", evil_file(dir)});
  CHECK(outcome.exit_code == 4);
  CHECK(first_line(outcome.out) == "dangerous: 1 call of os.system");
  CHECK(contains(outcome.out, "REDUCE"));
  CHECK(contains(outcome.out, "m/data.pkl @21"));
  CHECK(is_one_error_line(outcome.err));
  CHECK(contains(outcome.err, "do not load it in Python"));
}

TEST_CASE("everything as JSON, with the same exit code") {
  const TempDir dir;
  const Outcome outcome = run_tool({"audit", evil_file(dir), "--json"});
  CHECK(outcome.exit_code == 4);
  const json::Value value = parse_output(outcome);
  CHECK(text_at(value, {"error", "code"}) == "dangerous");
  CHECK(text_at(value, {"audit", "verdict"}) == "dangerous");
  const json::Array& pickles = *at(value, {"audit", "pickles"}).as_array();
  REQUIRE(pickles.size() == 1);
  const json::Value& call = (*at(pickles[0], {"calls"}).as_array())[0];
  CHECK(text_at(call, {"opcode"}) == "REDUCE");
  CHECK(number_at(call, {"offset"}) == 21);
  CHECK(text_at((*at(pickles[0], {"globals"}).as_array())[0], {"module"}) == "os");
  CHECK(text_at(parse_output(run_tool({"audit", kModule, "--json"})), {"audit", "verdict"}) == "inert");
}

TEST_CASE("a file without pickles says so; one that cannot be followed does not pass") {
  const TempDir dir;
  const Outcome numbers = run_tool({"audit", (data_dir() / "pt" / "dtypes.safetensors").string()});
  CHECK(numbers.exit_code == 0);
  CHECK(first_line(numbers.out) == "holds no pickle: nothing in it can run");
  const Outcome cut = run_tool({"audit", write_file(dir / "cut.pkl", std::string("\x80\x02}q")).string()});
  CHECK(cut.exit_code == 6);
  CHECK(run_tool({"audit", write_file(dir / "text", "Please read me.").string()}).exit_code == 6);
  CHECK(run_tool({"audit", (dir / "missing").string()}).exit_code == 5);
  CHECK(run_tool({"audit"}).exit_code == 2);
}

TEST_CASE("names from the file cannot act on the terminal, long lists are cut unless asked for") {
  const TempDir dir;
  PickleBuilder pickle;
  for (int i = 0; i < 100; ++i) pickle.global("pkg\x1b[31m", "f" + std::to_string(i)).raw("0");
  const std::string file = write_file(dir / "names.pkl", pickle.none().bytes() + ".").string();
  const Outcome outcome = run_tool({"audit", file});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find('\x1b') == std::string::npos);
  CHECK(contains(outcome.out, "... and 40 names more: --verbose"));
  CHECK(contains(run_tool({"audit", file, "--verbose"}).out, ".f99 "));
}

TEST_CASE("the help of audit says what the exit codes mean") {
  const Outcome outcome = run_tool({"audit", "--help"});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "usage: mq-convert audit FILE [options]"));
  CHECK(contains(outcome.out, "Exit code 0"));
  CHECK(contains(outcome.out, "mq-convert audit model.pt"));
}
