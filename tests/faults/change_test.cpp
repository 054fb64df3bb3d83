#include <doctest/doctest.h>

#include "tests/faults/fault_run.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using namespace mq::test;
namespace fs = std::filesystem;

namespace {

// The input of a scenario as a copy that may be changed, and the file of it that will be.
struct Copied {
  Copied(const TempDir& dir, const fs::path& original) : input(dir / original.filename().string()), file(input) {
    fs::copy_file(original, input);
  }

  fs::path input;
  fs::path file;
};

void check_noticed(const Scenario& scenario, const fs::path& file) {
  const CleanRun clean(scenario);
  // In the middle of the run, and when all has been read.
  for (const std::size_t at : {clean.publishes / 2 + 1, clean.publishes - 1}) {
    CAPTURE(at);
    const Stage stage(scenario);
    const Outcome outcome = stage.run("change", at, file.string());
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 6);
    CHECK(is_one_error_line(outcome.err));
    CHECK(contains(outcome.err, file.string()));
    CHECK(contains(outcome.err, "changed while it was being read"));
    CHECK(stage.files() == stage.before());
  }
}

}  // namespace

TEST_CASE("a file that changes while it is read is an error, whatever its format, and leaves nothing") {
  if (!can_interpose()) return;
  for (const char* name :
       {"cnn/cnn.safetensors", "cnn/cnn.pt", "pt/state_dict_legacy.pt", "pt/tar_0_1_9.pt", "pt/torchscript_script.pt",
        "pt/exported.pt2", "gguf/types.gguf", "numpy/fortran_order.npy", "numpy/compressed.npz"}) {
    CAPTURE(name);
    const TempDir dir;
    const Copied copied(dir, data_dir() / name);
    check_noticed({name, "out.safetensors", false, true, copied.input.string(), {"--exclude", "*"}}, copied.file);
  }
}

TEST_CASE("any shard of a model folder that changes is noticed, also after it was read") {
  if (!can_interpose()) return;
  const TempDir dir;
  write_checkpoint(dir / "model", "hf_safetensors",
                   {sample("a.weight", DType::UInt8, {64}, "model-00001-of-00002.safetensors"),
                    sample("b.weight", DType::UInt8, {64}, "model-00002-of-00002.safetensors")});
  for (const char* shard : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    CAPTURE(shard);
    check_noticed({shard, "out", false, true, (dir / "model").string()}, dir / "model" / shard);
  }
}
