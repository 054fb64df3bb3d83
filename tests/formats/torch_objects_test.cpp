#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/torch_files.hpp"

using namespace mq;
using test::PickleBuilder;
using test::torch_error;
using test::torch_names;
using test::TorchFile;
using Names = std::vector<std::string>;

namespace {

using Add = void (*)(PickleBuilder&);

// {"a": ...} with what add pushes.
PickleBuilder dict_of(Add add) {
  PickleBuilder p;
  p.proto().empty_dict().text("a");
  add(p);
  p.setitem();
  return p;
}

Tensor only_tensor(const PickleBuilder& pickle, std::vector<std::string> storages, std::string byteorder = "little") {
  const test::TempDir dir;
  const auto checkpoint = test::open_torch(
      dir, {.pickle = pickle.bytes() + ".", .storages = std::move(storages), .byteorder = std::move(byteorder)});
  REQUIRE(checkpoint->tensors().size() == 1);
  return checkpoint->read(0);
}

void add_module(PickleBuilder& p) {
  p.global("__main__", "Net").empty_tuple().newobj().empty_dict().text("_parameters").empty_dict().text("w");
  p.vector("0", 6).setitem().setitem().build();
}

}  // namespace

TEST_CASE("torch objects: the example of the format description reads as the array that it was made of") {
  // {'w': float32 [[0, 1, 2], [3, 4, 5]]}, byte for byte as torch.save pickles it.
  const std::string pickle(
      "\x80\x02}q\x00X\x01\x00\x00\x00wq\x01"
      "ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03"
      "ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x00"
      "0q\x05X\x03\x00\x00\x00"
      "cpuq\x06K\x06tq\x07QK\x00K\x02K\x03\x86q\x08"
      "K\x03K\x01\x86q\x09\x89"
      "ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0ds.",
      166);
  const test::TempDir dir;
  test::ZipBuilder zip;
  const test::ZipTweaks::Descriptor descriptor = test::ZipTweaks::Descriptor::Signed32;
  zip.add("mini/data.pkl", pickle, {.descriptor = descriptor, .padding = std::string(17, 'Z'), .flags = 0x800});
  zip.add("mini/data/0", test::float_bytes(6), {.descriptor = descriptor}).add("mini/version", "3\n");
  const std::string bytes = zip.finish({.zip64 = true});
  CHECK(bytes.substr(64, 2) == "\x80\x02");  // the data begins at a multiple of 64
  const auto checkpoint = open_checkpoint(test::write_file(dir / "mini.pt", bytes));
  REQUIRE(checkpoint->tensors().size() == 1);
  CHECK(checkpoint->tensors()[0] == TensorInfo{.name = "w", .dtype = DType::Float32, .shape = {2, 3}});
  const Tensor tensor = checkpoint->read(0);
  const auto values = tensor.as<float>();
  CHECK(std::vector<float>(values.begin(), values.end()) == std::vector<float>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("torch objects: rebuild calls of every version give the same tensor") {
  const std::vector<Add> adds{
      [](PickleBuilder& p) {  // up to 0.4
        p.global("torch._utils", "_rebuild_tensor").mark().storage({.numel = 6}).integer(1).integers({2}).integers({3});
        p.tuple().reduce();
      },
      [](PickleBuilder& p) { p.tensor({.numel = 6}, 1, {2}, {3}); },
      [](PickleBuilder& p) {
        p.global("torch._utils", "_rebuild_tensor_v3").mark().storage({"UntypedStorage", "0", 24}).integer(1);
        p.integers({2}).integers({3}).boolean(false).ordered_dict().global("torch", "float32").tuple().reduce();
      },
      [](PickleBuilder& p) {  // a class whose state is the view
        p.global("torch", "FloatTensor").empty_tuple().reduce();
        p.mark().storage({.numel = 6}).integer(1).integers({2}).integers({3}).tuple().build();
      },
      [](PickleBuilder& p) {
        p.global("torch._utils", "_rebuild_parameter").mark().tensor({.numel = 6}, 1, {2}, {3}).boolean(true);
        p.ordered_dict().tuple().reduce();
      },
      [](PickleBuilder& p) {
        p.global("torch._utils", "_rebuild_parameter_with_state").mark().tensor({.numel = 6}, 1, {2}, {3});
        p.boolean(true).ordered_dict().empty_dict().tuple().reduce();
      },
      [](PickleBuilder& p) {  // a parameter of old versions: (data, gradient, hooks, requires_grad, volatile)
        p.global("torch.nn.parameter", "Parameter").empty_tuple().newobj().mark().tensor({.numel = 6}, 1, {2}, {3});
        p.none().none().boolean(true).boolean(false).tuple().build();
      },
      [](PickleBuilder& p) {  // a subclass with attributes
        p.global("torch._tensor", "_rebuild_from_type_v2").mark().global("torch._utils", "_rebuild_tensor_v2");
        p.global("my.lib", "Labelled").mark().storage({.numel = 6}).integer(1).integers({2}).integers({3});
        p.boolean(false).ordered_dict().tuple().empty_dict().tuple().reduce();
      },
  };
  for (const Add add : adds) {
    const Tensor tensor = only_tensor(dict_of(add), {test::float_bytes(6)});
    CHECK(tensor.shape() == Shape{2});
    CHECK(tensor.as<float>()[0] == 1);
    CHECK(tensor.as<float>()[1] == 4);
  }
}

TEST_CASE("torch objects: big-endian files are swapped by the width of each element") {
  const auto reversed = [](std::string text, std::size_t width) {
    for (std::size_t i = 0; i < text.size(); i += width) std::reverse(text.begin() + i, text.begin() + i + width);
    return text;
  };
  const auto check = [&](const char* storage_class, std::int64_t numel, std::size_t width) {
    PickleBuilder p;
    p.proto().empty_dict().text("a").tensor({storage_class, "0", numel}, 0, {numel}, {1}).setitem();
    std::string bytes = test::float_bytes(4);
    const Tensor tensor = only_tensor(p, {reversed(bytes, width)}, "big");
    CHECK(std::memcmp(tensor.bytes().data(), bytes.data(), bytes.size()) == 0);
  };
  check("ByteStorage", 16, 1);
  check("HalfStorage", 8, 2);
  check("FloatStorage", 4, 4);
  check("DoubleStorage", 2, 8);
  check("ComplexFloatStorage", 2, 4);
  check("ComplexDoubleStorage", 1, 8);
  PickleBuilder transposed;
  transposed.proto().empty_dict().text("a").tensor({.numel = 6}, 0, {3, 2}, {1, 3}).setitem();
  const Tensor tensor = only_tensor(transposed, {reversed(test::float_bytes(6), 4)}, "big");
  CHECK(tensor.as<float>()[1] == 3);
}

TEST_CASE("torch objects: the model is found under its usual keys, else where most tensors are") {
  const auto model_in = [](std::string_view key) {
    PickleBuilder p;
    p.proto().empty_dict().text("other").empty_dict().text("x").vector("0", 6).setitem().text("y").vector("0", 6);
    p.setitem().setitem().text(key).empty_dict().text("w").vector("1", 6).setitem().setitem();
    return p;
  };
  for (const char* key : {"state_dict", "model_state_dict", "model", "module", "net", "params", "ema", "generator"}) {
    CHECK(torch_names(model_in(key)) == Names{"w"});
  }
  CHECK(torch_names(model_in("weights")) == Names{"x", "y"});
  CHECK(torch_names(model_in("weights"), ".") == Names{"other.x", "other.y", "weights.w"});
  CHECK(torch_names(model_in("a.b"), "a.b") == Names{"w"});
  CHECK(torch_names(model_in("a.b"), "a.b.w") == Names{"w"});
}

TEST_CASE("torch objects: the state of an optimizer is not taken for the model") {
  PickleBuilder p;
  p.proto().empty_dict().text("optim").empty_dict().text("state").empty_dict();
  for (int i = 0; i < 5; ++i) p.integer(i).vector("0", 6).setitem();
  p.setitem().text("param_groups").empty_list().setitem().setitem();
  p.text("weights").empty_dict().text("w").vector("1", 6).setitem().setitem();
  CHECK(torch_names(p) == Names{"w"});
}

TEST_CASE("torch objects: ordered, default and old dictionaries, namespaces and sequences are walked alike") {
  CHECK(torch_names(dict_of([](PickleBuilder& p) { p.ordered_dict().text("b").vector("0", 6).setitem(); }), ".") ==
        Names{"a.b"});
  CHECK(torch_names(
            dict_of([](PickleBuilder& p) {  // Python 2: OrderedDict([["b", tensor]])
              p.global("collections", "OrderedDict").mark().empty_list().empty_list().text("b").append().vector("0", 6);
              p.append().append().tuple().reduce();
            }),
            ".") == Names{"a.b"});
  CHECK(torch_names(dict_of([](PickleBuilder& p) {
                      p.global("collections", "defaultdict").mark().global("builtins", "list").tuple().reduce();
                      p.text("b").vector("0", 6).setitem();
                    }),
                    ".") == Names{"a.b"});
  CHECK(torch_names(
            dict_of([](PickleBuilder& p) {
              p.global("argparse", "Namespace").empty_tuple().newobj().empty_dict().text("b").vector("0", 6).setitem();
              p.build();
            }),
            ".") == Names{"a.b"});
  CHECK(torch_names(dict_of([](PickleBuilder& p) { p.mark().none().vector("0", 6).tuple(); }), ".") == Names{"a.1"});
}

TEST_CASE("torch objects: a module is read by the names of its state_dict, wherever it is") {
  PickleBuilder whole;
  whole.proto();
  add_module(whole);
  CHECK(torch_names(whole) == Names{"w"});

  PickleBuilder nested;
  nested.proto().empty_dict().text("epoch").integer(3).setitem().text("model");
  add_module(nested);
  nested.setitem();
  CHECK(torch_names(nested) == Names{"w"});
  CHECK(torch_names(nested, ".") == Names{"model.w"});

  PickleBuilder beside;
  beside.proto().empty_dict().text("state_dict").empty_dict().text("w").vector("0", 6).setitem().setitem().text("ema");
  add_module(beside);
  beside.setitem().text("config").global("my.lib", "Config").empty_tuple().newobj().setitem();
  const test::TempDir dir;
  const auto checkpoint = test::open_torch(dir, {.pickle = beside.bytes() + ".", .storages = {test::float_bytes(6)}});
  CHECK(checkpoint->tensors().size() == 1);
  REQUIRE(checkpoint->left_out().size() == 2);
  CHECK(checkpoint->left_out()[0] == LeftOut{"ema (module of class __main__.Net)", 1, 24});
  CHECK(checkpoint->left_out()[1].what == "config (object of class my.lib.Config)");
}

TEST_CASE("torch objects: kinds of tensors that are not read are refused with the tensor's name") {
  struct Kind {
    const char* function;
    const char* says;
  };
  for (const Kind& kind : {Kind{"_rebuild_meta_tensor_no_storage", "meta"}, Kind{"_rebuild_nested_tensor", "nested"},
                           Kind{"_rebuild_wrapper_subclass", "wrapper subclass"}}) {
    CAPTURE(kind.function);
    PickleBuilder p;
    p.proto().empty_dict().text("a.b").global("torch._utils", kind.function).empty_tuple().reduce().setitem();
    const auto error = torch_error(p);
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Unsupported);
    CHECK(error->details().tensor == "a.b");
    CHECK(error->details().message.find(kind.says) != std::string::npos);
  }
  PickleBuilder subclass;
  subclass.proto().empty_dict().text("a").global("torch._utils", "_rebuild_wrapper_subclass").mark();
  subclass.global("torchao.quantization", "Int8Tensor").integers({2, 2}).tuple().reduce().setitem();
  const auto refused = torch_error(subclass);
  REQUIRE(refused);
  CHECK(refused->details().found == "torchao.quantization.Int8Tensor");
  CHECK(refused->details().hint.find("safetensors") != std::string::npos);
  PickleBuilder p;
  p.proto().empty_dict().text("a").global("torch._utils", "_rebuild_tensor_v2").mark().storage({.numel = 6});
  p.integer(0).integers({6}).integers({1}).boolean(false).ordered_dict().empty_dict().text("future").boolean(true);
  p.setitem().tuple().reduce().setitem();
  CHECK(torch_error(p)->code() == ErrorCode::Unsupported);
}

TEST_CASE("torch objects: version and byte order records are checked") {
  PickleBuilder p;
  p.proto().empty_dict().text("w").vector("0", 6).setitem();
  const test::TempDir dir;
  const auto code = [&](TorchFile file) {
    file.pickle = p.bytes() + ".";
    file.storages = {test::float_bytes(6)};
    return test::code_of([&] { test::open_torch(dir, file); });
  };
  CHECK_FALSE(code({}));
  CHECK_FALSE(code({.version = "10"}));
  CHECK_FALSE(code({.byteorder = ""}));
  CHECK(code({.version = "11\n"}) == ErrorCode::Unsupported);
  CHECK(code({.version = "0\n"}) == ErrorCode::Unsupported);
  CHECK(code({.version = "x"}) == ErrorCode::Corrupt);
  CHECK(code({.version = ""}) == ErrorCode::Corrupt);
  CHECK(code({.byteorder = "middle"}) == ErrorCode::Corrupt);
}

TEST_CASE("torch objects: a zip archive of another kind is refused by its kind") {
  const test::TempDir dir;
  const auto message = [&](std::string_view record) {
    const std::string bytes = test::ZipBuilder().add(record, "x").finish();
    return test::message_of([&] { open_checkpoint(test::write_file(dir / "x.pt", bytes)); });
  };
  CHECK(message("m/.data/extern_modules").find("torch.package") != std::string::npos);
  CHECK(message("m/model.json").find("TorchScript archive of PyTorch 1.0") != std::string::npos);
  CHECK(message("word/document.xml").find("no PyTorch checkpoint") != std::string::npos);
  CHECK(message("data.pkl").find("no PyTorch checkpoint") != std::string::npos);
}
