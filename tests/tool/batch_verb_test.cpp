// `mq-convert batch`: several models, some of which fail, are there already, or are interrupted.
#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

NamedBytes weight(const std::string& name, float first) {
  NamedBytes tensor = sample(name, DType::Float32, {64, 64});
  for (std::size_t i = 0; i < 4096; ++i) {
    const float value = i == 0 ? first : static_cast<float>(static_cast<signed char>(tensor.bytes[4 * i])) / 64.0F;
    std::memcpy(tensor.bytes.data() + 4 * i, &value, sizeof value);
  }
  return tensor;
}

// Three models, a folder of one, and a file that is none.
struct Models {
  Models() {
    for (const char* name : {"a", "b", "c"}) {
      write_checkpoint(dir / (std::string(name) + ".safetensors"), "safetensors",
                       {weight(std::string(name) + ".weight", 1)});
    }
    std::filesystem::create_directory(dir / "folder");
    write_checkpoint(dir / "folder" / "model.safetensors", "safetensors", {weight("d.weight", 1)});
    write_file(dir / "folder" / "config.json", "{}");
    write_file(dir / "bad.safetensors", "not a checkpoint");
  }

  std::string path(const std::string& name) const { return (dir / name).string(); }
  std::string list(const std::vector<std::string>& lines) const {
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    return write_file(dir / "list.txt", text).string();
  }
  std::string whole_list() const {
    return list({"# models", path("a.safetensors"), "", path("bad.safetensors"),
                 path("b.safetensors") + "\tsecond.safetensors", path("folder"), path("c.safetensors")});
  }

  TempDir dir;
};

// The lines of stdout by "model".
std::map<std::int64_t, json::Value> lines_of(const Outcome& outcome) {
  std::map<std::int64_t, json::Value> lines;
  std::string_view text = outcome.out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    REQUIRE(end != std::string_view::npos);
    const json::Value line = json::parse(text.substr(0, end), "stdout");
    CHECK(lines.emplace(*line.find("model")->as_int(), line).second);
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string status(const std::map<std::int64_t, json::Value>& lines, std::int64_t model) {
  return text_at(lines.at(model), {"status"});
}

}  // namespace

TEST_CASE("a batch makes what single runs make, and a model that fails stops no other") {
  const Models models;
  const std::string out = models.path("out");
  for (const char* jobs : {"1", "3"}) {
    CAPTURE(jobs);
    std::filesystem::remove_all(out);
    const Outcome outcome = run_tool(
        {"batch", models.whole_list(), "--out", out, "--scheme", "int4:g32", "--jobs", jobs, "--threads", "2"});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 6);
    CHECK(outcome.err.empty());
    const auto lines = lines_of(outcome);
    REQUIRE(lines.size() == 5);
    for (const std::int64_t model : {2, 5, 6, 7}) CHECK(status(lines, model) == "done");
    CHECK(status(lines, 4) == "failed");
    CHECK(number_at(lines.at(4), {"exit_code"}) == 6);
    CHECK(text_at(lines.at(4), {"error", "code"}) == "unsupported");
    CHECK(number_at(lines.at(2), {"sqnr_db"}) > 10);
    CHECK(names_in(out) == std::vector<std::string>{"a.safetensors", "a.safetensors.quantization_metadata.json",
                                                    "c.safetensors", "c.safetensors.quantization_metadata.json",
                                                    "folder", "second.safetensors",
                                                    "second.safetensors.quantization_metadata.json"});
    const std::string single = models.path("single.safetensors");
    REQUIRE(
        run_tool({"quantize", models.path("b.safetensors"), single, "--scheme", "int4:g32", "--overwrite"}).exit_code ==
        0);
    CHECK(read_file(single) == read_file(out + "/second.safetensors"));
    CHECK(read_file(single + ".quantization_metadata.json") ==
          read_file(out + "/second.safetensors.quantization_metadata.json"));
  }
}

TEST_CASE("outputs that are there already are skipped, but only if input, recipe and structure are the same") {
  const Models models;
  const std::string out = models.path("out"), list = models.whole_list();
  const std::vector<std::string> command = {"batch", list, "--out", out, "--scheme", "int8"};
  CHECK(run_tool(command).exit_code == 6);
  const auto before = snapshot(out);
  const auto again = lines_of(run_tool(command));
  for (const std::int64_t model : {2, 5, 6, 7}) CHECK(status(again, model) == "skipped");
  CHECK(status(again, 4) == "failed");
  CHECK(snapshot(out) == before);

  // Another value in an input; an output that lost its end; a report that lost its tensors.
  write_checkpoint(models.dir / "a.safetensors", "safetensors", {weight("a.weight", 2)}, {}, {.overwrite = true});
  std::filesystem::resize_file(out + "/second.safetensors", 100);
  write_file(out + "/c.safetensors.quantization_metadata.json", "{}");
  const Outcome refused = run_tool(command);
  const auto changed = lines_of(refused);
  CHECK(refused.exit_code == 6);
  for (const std::int64_t model : {2, 5, 7}) {
    CHECK(status(changed, model) == "failed");
    CHECK(contains(text_at(changed.at(model), {"error", "message"}), "exists already"));
  }
  CHECK(status(changed, 6) == "skipped");
  std::vector<std::string> replacing = command;
  replacing.emplace_back("--overwrite");
  const auto replaced = lines_of(run_tool(replacing));
  for (const std::int64_t model : {2, 5, 7}) CHECK(status(replaced, model) == "done");
  CHECK(status(replaced, 6) == "skipped");

  const auto other = lines_of(run_tool({"batch", list, "--out", out, "--scheme", "int8", "--min-numel", "0"}));
  for (const std::int64_t model : {2, 5, 6, 7}) CHECK(status(other, model) == "failed");
}

TEST_CASE("a quantized input is recognised as finished too, and so are stacks of experts and transposed weights") {
  const TempDir dir;
  const std::string plain = (dir / "plain.safetensors").string();
  NamedBytes experts = weight("mlp.experts.down_proj", 1), turned = weight("h.0.attn.c_attn.weight", 1);
  experts.tensor.shape = {4, 16, 64};
  turned.tensor.shape = {32, 128};
  write_checkpoint(plain, "safetensors", {experts, turned, weight("fc.weight", 1)});
  const std::string quantized = (dir / "quantized.safetensors").string(), out = (dir / "out").string();
  REQUIRE(run_tool({"quantize", plain, quantized, "--scheme", "int8:asym"}).exit_code == 0);
  const std::string list = write_file(dir / "list", plain + "\n" + quantized + "\n").string();
  const std::vector<std::string> command = {"batch", list, "--out", out, "--scheme", "int4:g16"};
  for (const char* expected : {"done", "skipped"}) {
    const auto lines = lines_of(run_tool(command));
    CHECK(status(lines, 1) == expected);
    CHECK(status(lines, 2) == expected);
  }
}

TEST_CASE("a line may be JSON with a recipe of its own, over that of the command line") {
  const Models models;
  const std::string out = models.path("out");
  const std::string own = write_file(models.dir / "own.json", R"({"scheme": "int8"})").string();
  const std::string all = write_file(models.dir / "all.json", R"({"scheme": "int4:g32", "keep": "fp16"})").string();
  const std::string back = write_file(models.dir / "back.json", R"({"task": "dequantize"})").string();
  const std::string list = models.list(
      {R"({"input": ")" + models.path("a.safetensors") + R"(", "recipe": ")" + own + R"(", "output": "x.safetensors"})",
       models.path("b.safetensors"), R"({"input": ")" + models.path("c.safetensors") + R"(", "recipe": "none.json"})",
       R"({"input": ")" + models.path("folder") + R"(", "recipe": ")" + back + R"("})"});
  const Outcome outcome = run_tool({"batch", list, "--out", out, "--recipe", all});
  CHECK(outcome.exit_code == 5);
  const auto lines = lines_of(outcome);
  CHECK(status(lines, 1) == "done");
  CHECK(status(lines, 2) == "done");
  CHECK(number_at(lines.at(3), {"exit_code"}) == 5);
  CHECK(number_at(lines.at(4), {"exit_code"}) == 2);
  CHECK(contains(text_at(lines.at(4), {"error", "message"}), "for another command"));
  const std::string report = read_file(out + "/x.safetensors.quantization_metadata.json");
  CHECK(contains(report, "\"scheme\": \"int8:channel=0:sym:narrow\""));
  CHECK(contains(report, "\"keep\": \"float16\""));
  CHECK(contains(read_file(out + "/b.safetensors.quantization_metadata.json"), "int4:g32"));
}

TEST_CASE("a list that makes no sense is refused before anything is done") {
  const Models models;
  const std::string out = models.path("out");
  const auto refused = [&](const std::vector<std::string>& lines, const char* part) {
    const Outcome outcome = run_tool({"batch", models.list(lines), "--out", out});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.out.empty());
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, part));
    CHECK(names_in(out).empty());
  };
  const std::string a = models.path("a.safetensors");
  refused({a, models.path("b.safetensors") + "\ta.safetensors"}, "two models would have the same output");
  refused({a, a}, "as in line 1");
  refused({a + "\t../x"}, "list.txt:1: the name of the output: expected a name without slashes");
  refused({a + "\t"}, "found nothing");
  refused({a, R"({"inptu": "x"})"}, "did you mean 'input'?");
  refused({R"({"output": "x"})"}, "expected a key input");
  refused({"{"}, "invalid JSON");
  // What one model reads another would write.
  write_checkpoint(out + "/x.safetensors", "safetensors", {weight("x.weight", 1)});
  const Outcome chain =
      run_tool({"batch", models.list({a + "\tx.safetensors", out + "/./x.safetensors\ty.safetensors"}), "--out", out,
                "--overwrite"});
  CHECK(chain.exit_code == 2);
  CHECK(contains(chain.err, "the output is an input"));
  std::filesystem::remove(out + "/x.safetensors");
  CHECK(run_tool({"batch", models.path("none"), "--out", out}).exit_code == 5);
  CHECK(run_tool({"batch", models.list({a})}).exit_code == 2);
  const Outcome empty = run_tool({"batch", "-", "--out", out});
  CHECK(empty.exit_code == 0);
  CHECK(empty.out.empty());
}

TEST_CASE("models that do not fit into the memory for all fail alone, others wait for each other") {
  const Models models;
  const std::string out = models.path("out");
  const std::string list =
      models.list({models.path("a.safetensors"), models.path("b.safetensors"), models.path("c.safetensors")});
  const Outcome refused = run_tool({"batch", list, "--out", out, "--max-memory", "1MB"});
  CHECK(refused.exit_code == 6);
  for (const auto& [model, line] : lines_of(refused)) CHECK(text_at(line, {"error", "code"}) == "limit");
  CHECK(names_in(out).empty());
  const json::Value plan =
      parse_output(run_tool({"quantize", models.path("a.safetensors"), "--dry-run", "--json", "--threads", "2"}));
  const auto need = static_cast<std::int64_t>(number_at(plan, {"cost", "memory_bound_bytes"}));
  const Outcome one_at_a_time = run_tool(
      {"batch", list, "--out", out, "--max-memory", std::to_string(need + 1000000), "--jobs", "3", "--threads", "2"});
  CHECK(one_at_a_time.exit_code == 0);
  CHECK(lines_of(one_at_a_time).size() == 3);
  // With this many threads each may need more than the default: alone it has that.
  const Outcome alone = run_tool({"batch", list, "--out", models.path("alone"), "--jobs", "3", "--threads", "512"});
  CHECK(alone.exit_code == 0);
  CHECK(lines_of(alone).size() == 3);
}

TEST_CASE("a signal ends a batch: finished models stay, others leave nothing behind, each has its line") {
  const Models models;
  const std::string large = models.path("large.safetensors"), out = models.path("out");
  write_file(large, safetensors_bytes(
                        R"({"layer.weight":{"dtype":"F32","shape":[65536,4096],"data_offsets":[0,1073741824]}})"));
  std::filesystem::resize_file(large, std::filesystem::file_size(large) + 1073741824);
  const std::string list = models.list({models.path("a.safetensors"), large, models.path("b.safetensors")});
  std::filesystem::create_directory(out);
  RunningTool tool({"batch", list, "--out", out, "--scheme", "int2:channel", "--threads", "1", "--jobs", "1"});
  // The second model has begun when the first one has its names.
  for (int i = 0; i < 20000 && (names_in(out).size() < 2 || !tool.has_opened(out, {})); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  tool.send(SIGTERM);
  const Outcome outcome = tool.wait();
  CHECK(outcome.exit_code == 128 + SIGTERM);
  CHECK(is_one_error_line(outcome.err));
  const auto lines = lines_of(outcome);
  REQUIRE(lines.size() == 3);
  CHECK(status(lines, 1) == "done");
  CHECK(status(lines, 2) == "cancelled");
  CHECK(status(lines, 3) == "cancelled");
  CHECK(names_in(out) == std::vector<std::string>{"a.safetensors", "a.safetensors.quantization_metadata.json"});
}

TEST_CASE("a batch whose stdout cannot be written stops") {
  const Models models;
  const Outcome outcome =
      run_tool({"batch", models.whole_list(), "--out", models.path("out"), "--jobs", "1"}, "/dev/full");
  CHECK(outcome.exit_code == 5);
  CHECK(is_one_error_line(outcome.err));
}
