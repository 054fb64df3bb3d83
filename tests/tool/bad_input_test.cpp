// Whatever is wrong with the input: one clear line, the right exit code, nothing left behind.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cmath>

#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/torch_files.hpp"
#include "tests/tool/run_tool.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

// Runs `quantize` on an input that must be refused.
void check_refused(const TempDir& dir, std::vector<std::string> arguments, int exit_code,
                   std::initializer_list<std::string_view> parts) {
  const auto before = snapshot(dir.path());
  arguments.insert(arguments.begin(), "quantize");
  const Outcome outcome = run_tool(arguments);
  CAPTURE(outcome.out);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == exit_code);
  CHECK(is_one_error_line(outcome.err));
  for (const std::string_view part : parts) {
    CAPTURE(part);
    CHECK(contains(outcome.err, part));
  }
  CHECK(snapshot(dir.path()) == before);
}

std::string path_in(const TempDir& dir, std::string_view name) {
  return (dir / name).string();
}

NamedBytes floats(std::string name, Shape shape, const std::vector<float>& values) {
  NamedBytes made{.tensor = {.name = std::move(name), .dtype = DType::Float32, .shape = std::move(shape)}, .bytes = {}};
  made.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return made;
}

}  // namespace

TEST_CASE("a truncated file is refused with code 6") {
  const TempDir dir;
  const std::string whole = read_file(kCnn);
  write_file(dir / "m.pt", std::string_view(whole).substr(0, whole.size() / 2));
  check_refused(dir, {path_in(dir, "m.pt"), path_in(dir, "out.safetensors")}, 6, {"m.pt", "zip archive"});
  const std::string st = read_file(data_dir() / "cnn" / "cnn.safetensors");
  write_file(dir / "m.safetensors", std::string_view(st).substr(0, st.size() - 1000));
  check_refused(dir, {path_in(dir, "m.safetensors"), path_in(dir, "out.safetensors")}, 6,
                {"m.safetensors", "expected"});
}

TEST_CASE("a directory without weights is refused with code 6") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "in");
  write_file(dir / "in" / "readme.md", "no weights");
  check_refused(dir, {path_in(dir, "in"), path_in(dir, "out")}, 6, {"no weights"});
}

TEST_CASE("a text file is refused with code 6, whatever its suffix") {
  const TempDir dir;
  write_file(dir / "m.safetensors", "this is a text\n");
  check_refused(dir, {path_in(dir, "m.safetensors"), path_in(dir, "out.safetensors")}, 6, {"m.safetensors", "text"});
}

TEST_CASE("a file that does not exist is refused with code 5") {
  const TempDir dir;
  check_refused(dir, {path_in(dir, "none.pt"), path_in(dir, "out.safetensors")}, 5, {"none.pt"});
}

TEST_CASE("a pickle that would call os.system is refused or read as data, and nothing runs") {
  const TempDir dir;
  const std::string proof = path_in(dir, "proof");
  PickleBuilder pickle;
  pickle.proto().global("os", "system").mark().text("touch " + proof).tuple().reduce();
  write_file(dir / "m.pt", torch_bytes({.pickle = pickle.bytes() + ".", .storages = {}}));
  check_refused(dir, {path_in(dir, "m.pt"), path_in(dir, "out.safetensors")}, 6, {"m.pt", "os.system"});
  CHECK(!std::filesystem::exists(proof));
}

TEST_CASE("a missing shard is refused by name with code 6") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "in");
  write_checkpoint(dir / "in" / "model-00001-of-00002.safetensors", "safetensors",
                   {sample("a.weight", DType::BFloat16, {32, 32})});
  write_file(dir / "in" / "model.safetensors.index.json",
             R"({"metadata": {}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors",)"
             R"( "b.weight": "model-00002-of-00002.safetensors"}})");
  check_refused(dir, {path_in(dir, "in"), path_in(dir, "out")}, 6, {"model-00002-of-00002.safetensors"});
}

TEST_CASE("an unknown dtype is refused by name with code 6") {
  const TempDir dir;
  write_file(dir / "m.safetensors",
             safetensors_bytes(R"({"a":{"dtype":"Q9","shape":[4],"data_offsets":[0,4]}})", "abcd"));
  check_refused(dir, {path_in(dir, "m.safetensors"), path_in(dir, "out.safetensors")}, 6, {"Q9"});
}

TEST_CASE("a group size that does not divide is refused with code 2, naming every tensor and what fits") {
  const TempDir dir;
  check_refused(dir, {kCnn, path_in(dir, "out.safetensors"), "--scheme", "int4:g128"}, 2,
                {"conv2.weight", "conv3.weight", "fc1.weight", "fc2.weight", "fits"});
}

TEST_CASE("NaN and infinity in a weight to quantize are refused with code 3, naming the tensor") {
  const TempDir dir;
  for (const float bad : {std::nanf(""), INFINITY}) {
    std::vector<float> values(64 * 64, 0.5F);
    values[1000] = bad;
    write_checkpoint(dir / "m.safetensors", "safetensors", {floats("layer.weight", {64, 64}, values)}, {},
                     {.overwrite = true});
    check_refused(dir, {path_in(dir, "m.safetensors"), path_in(dir, "out.safetensors")}, 3, {"layer.weight"});
  }
}

TEST_CASE("a cast that would make a finite value infinite is refused with code 3") {
  const TempDir dir;
  std::vector<float> values(64, 1.0F);
  values[7] = 1e6F;
  write_checkpoint(dir / "m.safetensors", "safetensors", {floats("layer.weight", {8, 8}, values)});
  check_refused(dir, {path_in(dir, "m.safetensors"), path_in(dir, "out.safetensors"), "--scheme", "fp16"}, 3,
                {"layer.weight"});
}

TEST_CASE("an output that cannot be written is refused with code 5") {
  const TempDir dir;
  write_file(dir / "file", "x");
  check_refused(dir, {kCnn, path_in(dir, "no/such/folder/out.safetensors")}, 5, {"no/such/folder"});
  check_refused(dir, {kCnn, path_in(dir, "file/out.safetensors")}, 5, {"file"});
}

TEST_CASE("an output that exists is refused, and replaced only with --overwrite") {
  const TempDir dir;
  const std::string out = path_in(dir, "out.safetensors");
  write_file(out, "precious");
  check_refused(dir, {kCnn, out}, 5, {"out.safetensors"});
  CHECK(run_tool({"quantize", kCnn, out, "--overwrite"}).exit_code == 0);
  CHECK(read_file(out) != "precious");
}

TEST_CASE("an output that is the input is refused with code 2, under any of its names") {
  const TempDir dir;
  const std::string input = path_in(dir, "m.safetensors");
  std::filesystem::copy_file(data_dir() / "cnn" / "cnn.safetensors", input);
  std::filesystem::create_hard_link(input, dir / "hard.safetensors");
  std::filesystem::create_symlink(input, dir / "soft.safetensors");
  for (const char* name : {"m.safetensors", "hard.safetensors", "soft.safetensors", "./m.safetensors"}) {
    CAPTURE(name);
    check_refused(dir, {input, path_in(dir, name), "--overwrite"}, 2, {"the output is"});
  }
}

TEST_CASE("an output inside the input directory, or a directory that holds the input, is refused with code 2") {
  const TempDir dir;
  std::filesystem::create_directories(dir / "a" / "model");
  write_checkpoint(dir / "a" / "model" / "model.safetensors", "safetensors",
                   {sample("a.weight", DType::BFloat16, {32, 32})});
  const std::string model = path_in(dir, "a/model");
  check_refused(dir, {model, model, "--overwrite"}, 2, {"the output is the input"});
  check_refused(dir, {model, model + "/", "--overwrite"}, 2, {"the output is the input"});
  check_refused(dir, {model, model + "/out"}, 2, {"lies in the input"});
  check_refused(dir, {model, model + "/model.safetensors", "--overwrite"}, 2, {"the output"});
  check_refused(dir, {model, path_in(dir, "a"), "--overwrite"}, 2, {"holds the input"});
}

TEST_CASE("kinds of checkpoints that are not read are refused by name with code 6") {
  const TempDir dir;
  struct Case {
    const char* file;
    const char* part;
  };
  for (const Case& c : {Case{"numpy/objects.npy", "Python objects"}, Case{"numpy/structured.npy", "structured dtype"},
                        Case{"numpy/void2.npy", "bfloat16"}}) {
    CAPTURE(c.file);
    check_refused(dir, {(data_dir() / c.file).string(), path_in(dir, "out.safetensors")}, 6, {c.part});
  }
}

TEST_CASE("views that claim more bytes than there are numbers for are refused before anything is written") {
  const TempDir dir;
  PickleBuilder pickle;
  pickle.proto().empty_dict();
  for (const char* name : {"a.weight", "b.weight", "c.weight"}) {
    pickle.text(name).tensor({.numel = 6}, 0, {1 << 30, 1 << 30}, {0, 0}).setitem();
  }
  const std::string file = path_in(dir, "m.pt");
  write_file(file, torch_bytes({.pickle = pickle.bytes() + ".", .storages = {float_bytes(6)}}));
  check_refused(dir, {file, path_in(dir, "out.safetensors")}, 6, {"too large together"});
  const Outcome outcome = run_tool({"info", file});
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "9.2 EB"));
}

TEST_CASE("a report of a newer schema is refused with both numbers") {
  const TempDir dir;
  const std::string out = path_in(dir, "out.safetensors");
  REQUIRE(run_tool({"quantize", kCnn, out}).exit_code == 0);
  const std::filesystem::path report = out + ".quantization_metadata.json";
  std::string text = read_file(report);
  text.replace(text.find("\"schema_version\": 1"), 19, "\"schema_version\": 7");
  write_file(report, text);
  const Outcome outcome = run_tool({"validate", out});
  CHECK(outcome.exit_code == 6);
  CHECK(is_one_error_line(outcome.err));
  CHECK(contains(outcome.err, "expected schema_version 1"));
  CHECK(contains(outcome.err, "found 7"));
}

TEST_CASE("a report that stands beside a new output is seen before the work begins") {
  const TempDir dir;
  const std::string out = path_in(dir, "out.safetensors");
  const std::string report = out + ".quantization_metadata.json";
  write_file(report, "{}");
  const Outcome outcome = run_tool({"quantize", kCnn, out, "--log-json"});
  CHECK(outcome.exit_code == 5);
  CHECK(contains(outcome.err, report));
  CHECK(contains(outcome.err, "exists already"));
  CHECK(!contains(outcome.err, "\"event\":\"tensor\""));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"out.safetensors.quantization_metadata.json"});
}

TEST_CASE("an output beyond the size that this process may write is refused with code 5") {
  const TempDir dir;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{.rlim_cur = 64 << 10, .rlim_max = before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  check_refused(dir, {kCnn, path_in(dir, "out.safetensors")}, 5, {"out.safetensors"});
  check_refused(dir, {kCnn, path_in(dir, "out")}, 5, {"out"});
  setrlimit(RLIMIT_FSIZE, &before);
}
