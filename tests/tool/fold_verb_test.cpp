// Batch normalizations folded on the way from one file to another.
#include <doctest/doctest.h>

#include "mq/mq.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/outcomes.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

}  // namespace

TEST_CASE("folding: the output has the layers of a network without normalizations") {
  const TempDir dir;
  const auto fused = data_dir() / "cnn" / "cnn_fused_conv_bn.safetensors";
  const std::string out = (dir / "f.safetensors").string();
  const Outcome outcome = must_run({"convert", kCnn, out, "--fold-bn", "auto", "--bn-eps", "1e-5"});
  CHECK(contains(outcome.out, "bn1.running_var (folded into conv1)"));
  for (const char* name : {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "conv3.weight", "conv3.bias"}) {
    CAPTURE(name);
    CHECK(equal(values_of(out, name), values_of(fused, name)));
  }
  CHECK_FALSE(open_checkpoint(out)->find("bn1.weight"));
  // One by one, from a file, from the recipe of an output, and quantized.
  write_file(dir / "map.json", R"({"conv2": "bn2", "conv3": {"norm": "bn3", "eps": 1e-05}})");
  const std::string quantized = (dir / "q.safetensors").string(), twice = (dir / "t.safetensors").string();
  must_run({"quantize", kCnn, quantized, "--fold-bn", "conv1=bn1", "--fold-bn", (dir / "map.json").string(), "--bn-eps",
            "1e-5"});
  must_run({"quantize", kCnn, twice, "--recipe", quantized + ".quantization_metadata.json"});
  CHECK(read_file(quantized) == read_file(twice));
  must_run({"compare", fused.string(), quantized, "--min-sqnr", "35"});
  must_run({"compare", kCnn, quantized, "--fold-bn", "auto", "--bn-eps", "1e-5", "--min-sqnr", "35"});
}

TEST_CASE("folding: what is not known is refused with the reason") {
  const TempDir dir;
  const std::string out = (dir / "f.safetensors").string();
  must_refuse({"convert", kCnn, out, "--fold-bn", "auto"}, "eps");
  must_refuse({"convert", kCnn, out, "--fold-bn", "conv1=bn1"}, "eps of the normalization is not given");
  must_refuse({"convert", kCnn, out, "--fold-bn", "conv1=bn2", "--bn-eps", "1e-5"}, "does not fit");
  must_refuse({"convert", kCnn, out, "--fold-bn", "conv1=", "--bn-eps", "1e-5"}, "LAYER=NORM");
  must_refuse({"convert", kCnn, out, "--fold-bn", "conv1=bn1", "--bn-eps", "0"}, "above 0");
  must_refuse({"convert", (data_dir() / "cnn" / "mobile.pt").string(), out, "--fold-bn", "auto", "--bn-eps", "1e-5"},
              "do not say which layers");
  must_refuse({"convert", (data_dir() / "cnn" / "cnn_fused_conv_bn.safetensors").string(), out, "--fold-bn", "auto",
               "--bn-eps", "1e-5"},
              "there is no batch normalization");
  must_refuse({"recipe", "--fold-bn", "auto"}, "needs a model");
  write_file(dir / "map.json", "[]");
  must_refuse({"convert", kCnn, out, "--fold-bn", (dir / "map.json").string(), "--bn-eps", "1e-5"}, "an object");
  CHECK(names_in(dir.path()) == std::vector<std::string>{"map.json"});
}
