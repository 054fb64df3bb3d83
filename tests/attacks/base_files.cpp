#include "tests/attacks/base_files.hpp"

#include "tests/support/checkpoints.hpp"
#include "tests/support/files.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/old_torch_builder.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::attacks {
namespace {

using namespace std::string_literals;
using test::PickleBuilder;

// A checkpoint of every kind of record and value, whose pickle has no checksum: damage reaches the pickle machine.
std::string torch_of_everything() {
  PickleBuilder p;
  p.proto().empty_dict().text("epoch").integer(3).setitem().text("model").ordered_dict().put(1);
  p.text("w").tensor({.numel = 6}, 0, {3, 2}, {1, 3}).setitem().text("b").vector("1", 2).setitem();
  p.text("v").global("torch._utils", "_rebuild_tensor_v3").mark().storage({"UntypedStorage", "2", 8}).integer(0);
  p.integers({4}).integers({1}).boolean(false).ordered_dict().global("torch", "uint16").tuple().reduce().setitem();
  p.setitem().text("args").global("argparse", "Namespace").empty_tuple().newobj().empty_dict().text("lr");
  p.raw("G?\xb9\x99\x99\x99\x99\x99\x9a").setitem().build().setitem();
  test::ZipBuilder zip;
  const auto descriptor = test::ZipTweaks::Descriptor::Signed32;
  zip.add("m/data.pkl", p.bytes() + ".", {.descriptor = descriptor, .padding = "ZZZ", .crc = 0});
  zip.add("m/byteorder", "little").add("m/data/0", test::float_bytes(6), {.zip64 = true});
  zip.add("m/data/1", test::float_bytes(2)).add("m/data/2", test::float_bytes(2)).add("m/version", "3\n");
  return zip.finish({.zip64 = true});
}

// Text opcodes, tensors of old versions, a parameter and a shared key.
std::string torch_of_old_forms() {
  PickleBuilder p;
  p.raw("(dp0\nVweight\np1\n").global("torch", "FloatTensor").empty_tuple().newobj().mark();
  p.storage({.numel = 6}).integer(0).integers({2, 3}).integers({3, 1}).tuple().build().setitem();
  p.raw("S'bias'\n").global("torch.nn.parameter", "Parameter").mark().vector("1", 2).boolean(true).tuple();
  p.raw("\x81sS'l'\n(lp5\nI1\naL2L\naF1.5\naI01\nasI7\nNs");
  test::ZipBuilder zip;
  zip.add("m/data.pkl", p.bytes() + ".", {.crc = 0}).add("m/data/0", test::float_bytes(6));
  return zip.add("m/data/1", test::float_bytes(2)).add("m/.data/version", "3\n").finish();
}

std::string gguf_of_everything() {
  test::GgufBuilder file;
  file.text("general.architecture", "llama").array("words", 8, 2, test::gguf_string("a") + test::gguf_string("b"));
  file.value("flag", 7, "\x01").u32("general.alignment", 32).array("numbers", 6, 2, std::string(8, '\0'));
  file.tensor("a.weight", {32, 2}, 8, std::string(68, 'a')).tensor("b", {3}, 0, std::string(12, 'b'));
  return file.bytes();
}

std::string numpy_array() {
  std::string header = "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 2), }";
  header.resize(117, ' ');
  return "\x93NUMPY\1\0v\0"s + header + "\n" + std::string(48, 'n');
}

std::string fixture_bytes(std::string_view name) {
  return test::read_file(test::data_dir() / "pt" / name);
}

}  // namespace

std::vector<BaseFile> base_files() {
  return {
      {"torch-everything", torch_of_everything()},
      {"torch-old-forms", torch_of_old_forms()},
      {"torch-single-tensor", fixture_bytes("single_tensor.pt")},
      {"torch-parameter", fixture_bytes("parameter.pt")},
      {"torch-no-crc", fixture_bytes("no_crc.pt")},
      {"torch-int-keys", fixture_bytes("int_keys.pt")},
      {"torch-stream", test::TorchStream::good().bytes()},
      {"torch-tar", test::TorchTar::good().bytes(), false},  // the blocks of zeros at its end are not needed
      {"gguf-everything", gguf_of_everything(), false},      // nor is the padding
      {"numpy", numpy_array()},
      {"safetensors-one", test::safetensors_bytes(R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "abc")},
      {"safetensors-everything",
       test::safetensors_bytes(
           R"({"__metadata__":{"format":"pt","k\u00fc":"v"},"a.b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8],)"
           R"("x":[{"y":1e3}]},"e":{"dtype":"I64","shape":[0],"data_offsets":[8,8]},"s":["F4",[6],[8,11]]}  )",
           "01234567abc")},
      {"safetensors-dtypes", fixture_bytes("dtypes.safetensors")},
  };
}

}  // namespace mq::attacks
