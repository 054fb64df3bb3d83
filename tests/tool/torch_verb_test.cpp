// PyTorch checkpoints as outputs.
#include <doctest/doctest.h>

#include <cstring>

#include "mq/mq.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/paths.hpp"
#include "tests/tool/outcomes.hpp"

using namespace mq;
using namespace mq::test;

namespace {

const std::string kCnn = (data_dir() / "cnn" / "cnn.pt").string();

}  // namespace

TEST_CASE("torch: 8-bit integers become quantized tensors with the values of every other container") {
  const TempDir dir;
  for (const char* scheme : {"int8", "int8:tensor", "int8:asym", "int8:tensor:asym", "uint8"}) {
    CAPTURE(scheme);
    const std::string pt = (dir / "out.pt").string(), flat = (dir / "out.safetensors").string();
    const Outcome outcome = must_run({"quantize", kCnn, pt, "--scheme", scheme, "--overwrite"});
    CHECK(contains(outcome.out, "loads in: PyTorch"));
    must_run({"quantize", kCnn, flat, "--scheme", scheme, "--overwrite"});
    const auto checkpoint = open_checkpoint(pt);
    const Source source = describe(*checkpoint);
    CHECK(source.dialect == "torch_quantized");
    for (const char* name : {"conv3.weight", "fc1.weight", "fc2.weight", "fc1.bias"}) {
      CAPTURE(name);
      CHECK(equal(values_of(pt, name), values_of(flat, name)));
    }
    must_run({"validate", pt, "--for", "torch"});
    must_run({"compare", kCnn, pt, "--min-sqnr", "30"});
    CHECK(names_in(dir.path()).size() == 4);  // two outputs and their reports
  }
}

TEST_CASE("torch: a dry run knows the size to the byte, and threads do not change one") {
  const TempDir dir;
  const auto convert = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"quantize", kCnn, (dir / name).string(), "--rule", "fc2.*=int4:channel"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return must_run(arguments);
  };
  const json::Value plan = parse_output(convert("one.pt", {"--dry-run", "--json"}));
  convert("one.pt", {"--threads", "1"});
  convert("many.pt", {"--threads", "7", "--max-memory", "1GiB"});
  CHECK(number_at(plan, {"plan", "file_bytes"}) == static_cast<double>(std::filesystem::file_size(dir / "one.pt")));
  CHECK(read_file(dir / "one.pt") == read_file(dir / "many.pt"));
}

TEST_CASE("torch: other encodings are packed tensors, beside quantized ones, and read back") {
  const TempDir dir;
  const std::string pt = (dir / "mixed.pt").string(), flat = (dir / "mixed.safetensors").string();
  const std::vector<std::string> rest = {"--scheme",   "int4:channel", "--rule",
                                         "fc1.*=int8", "--rule",       "conv2.*=fp8_e4m3"};
  for (const std::string& out : {pt, flat}) {
    std::vector<std::string> arguments = {"quantize", kCnn, out};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    const Outcome outcome = must_run(arguments);
    CHECK(contains(outcome.out, "loads in: mq only"));
  }
  for (const char* name : {"conv2.weight", "conv3.weight", "fc1.weight", "fc2.weight"}) {
    CAPTURE(name);
    CHECK(equal(values_of(pt, name), values_of(flat, name)));
  }
  must_run({"validate", pt});
  const Outcome refused = run_tool({"validate", pt, "--for", "torch"});
  CHECK(refused.exit_code == 4);
  CHECK(contains(refused.out + refused.err, "PyTorch does not load"));
  must_run({"dequantize", pt, (dir / "floats.pt").string()});
  CHECK(equal(values_of(dir / "floats.pt", "fc2.weight"), values_of(flat, "fc2.weight")));
}

TEST_CASE("torch: copies keep quantized tensors, and repacking makes them") {
  const TempDir dir;
  const std::string flat = (dir / "q.safetensors").string(), pt = (dir / "q.pt").string();
  must_run({"quantize", kCnn, flat, "--scheme", "int8"});
  must_run({"convert", flat, pt, "--dialect", "torch_quantized"});
  must_run({"convert", pt, (dir / "again.pth").string()});
  CHECK(read_checkpoint(*open_checkpoint(pt)) == read_checkpoint(*open_checkpoint(dir / "again.pth")));
  CHECK(equal(values_of(dir / "again.pth", "fc1.weight"), values_of(flat, "fc1.weight")));
  must_run({"convert", pt, (dir / "back.safetensors").string(), "--dialect", "compressed_tensors"});
  CHECK(equal(values_of(dir / "back.safetensors", "fc1.weight"), values_of(flat, "fc1.weight")));
  must_run({"quantize", kCnn, (dir / "h.bin").string(), "--scheme", "fp16"});
  must_run({"convert", kCnn, (dir / "named").string(), "--to", "torch"});
  CHECK(open_checkpoint(dir / "named")->format() == "torch_zip");
}

TEST_CASE(
    "torch: a weight that is stored with its inputs first keeps its shape, and its channels are the last dimension") {
  const TempDir dir;
  std::vector<NamedBytes> model = {sample("h.0.attn.c_attn.weight", DType::Float32, {64, 192})};
  // Any bytes would make NaN.
  for (std::size_t i = 0; i + 4 <= model[0].bytes.size(); i += 4) {
    const auto value = static_cast<float>(static_cast<signed char>(model[0].bytes[i]));
    std::memcpy(model[0].bytes.data() + i, &value, sizeof value);
  }
  write_checkpoint(dir / "in.safetensors", "safetensors", model);
  const std::string in = (dir / "in.safetensors").string(), pt = (dir / "out.pt").string();
  must_run({"quantize", in, pt, "--scheme", "int8"});
  const auto checkpoint = open_checkpoint(pt);
  CHECK(checkpoint->tensors()[checkpoint->find("h.0.attn.c_attn.weight").value()].shape == Shape{64, 192});
  CHECK(checkpoint->tensors()[checkpoint->find("h.0.attn.c_attn.weight.q_scale").value()].shape == Shape{1, 192});
  const std::string flat = (dir / "out.safetensors").string();
  must_run({"quantize", in, flat, "--scheme", "int8"});
  CHECK(equal(values_of(pt, "h.0.attn.c_attn.weight"), values_of(flat, "h.0.attn.c_attn.weight")));
}

TEST_CASE("torch: presets, and what they refuse") {
  const TempDir dir;
  const std::string pt = (dir / "p.pt").string();
  for (const char* preset : {"torch:int8", "torch:int8-tensor", "torch:fp16", "torch:bf16"}) {
    CAPTURE(preset);
    must_run({"quantize", kCnn, pt, "--for", preset, "--overwrite"});
    must_run({"validate", pt, "--for", "torch"});
  }
  must_refuse({"quantize", kCnn, (dir / "p.safetensors").string(), "--for", "torch:int8"}, "NAME.pt");
  must_refuse({"quantize", kCnn, pt, "--for", "torch:int8", "--rule", "fc1.*=int4:channel", "--overwrite"},
              "PyTorch has no quantized tensors of this encoding");
  must_refuse({"quantize", kCnn, pt, "--dialect", "torch_quantized", "--scheme", "int4:channel", "--overwrite"},
              "the compressed_tensors dialect writes packed tensors");
  must_refuse({"quantize", kCnn, pt, "--for", "torch:int8", "--scheme", "int8:tensor", "--overwrite"}, "--scheme");
  must_refuse({"quantize", kCnn, pt, "--scheme", "q8_0", "--only", "fc1.weight", "--overwrite"}, "");
}

TEST_CASE("torch: --resume and --reuse work as for other files") {
  const TempDir dir;
  const std::string pt = (dir / "r.pt").string(), again = (dir / "again.pt").string();
  must_run({"quantize", kCnn, pt, "--resume", "--scheme", "int8:tensor"});
  const json::Value result =
      parse_output(must_run({"quantize", kCnn, again, "--reuse", pt, "--scheme", "int8:tensor", "--json"}));
  CHECK(number_at(result, {"result", "reused"}) >= 3);
  CHECK(read_file(pt) == read_file(again));
}
