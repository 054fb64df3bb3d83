// Kinds of tensors and objects in pickles: sparse, quantized, of other devices, inside modules and foreign objects.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "formats/value_sum.hpp"
#include "mq/contents.hpp"
#include "mq/source.hpp"
#include "src/json.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using test::PickleBuilder;
using test::torch_error;
using test::torch_names;
using Names = std::vector<std::string>;

namespace {

std::string long_bytes(const std::vector<std::int64_t>& values) {
  std::string bytes(values.size() * 8, '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// {"a": sparse tensor} of these parts, each a storage of its own.
PickleBuilder compressed(const char* layout, std::int64_t pointers, std::int64_t entries, std::int64_t rows,
                         std::int64_t cols) {
  PickleBuilder p;
  p.proto().empty_dict().text("a").global("torch._utils", "_rebuild_sparse_tensor").mark();
  p.global("torch.serialization", "_get_layout").mark().text(layout).tuple().reduce().mark();
  p.tensor({"LongStorage", "0", pointers}, 0, {pointers}, {1}).tensor({"LongStorage", "1", entries}, 0, {entries}, {1});
  p.tensor({"FloatStorage", "2", entries}, 0, {entries}, {1}).integers({rows, cols}).tuple().tuple().reduce().setitem();
  return p;
}

std::unique_ptr<Checkpoint> open_sparse(const test::TempDir& dir, const PickleBuilder& pickle,
                                        const std::vector<std::int64_t>& pointers,
                                        const std::vector<std::int64_t>& indices) {
  return test::open_torch(dir, {.pickle = pickle.bytes() + ".",
                                .storages = {long_bytes(pointers), long_bytes(indices),
                                             test::float_bytes(static_cast<int>(indices.size()), 1)}});
}

}  // namespace

TEST_CASE("sparse: any range of a densified tensor is the same range of the whole") {
  const auto extra = open_checkpoint(test::data_dir() / "pt" / "extra.pt");
  for (const char* name : {"csr", "csc", "bsr", "bsc", "coo_dense_dims", "coo_uncoalesced"}) {
    CAPTURE(std::string(name));
    const std::size_t i = *extra->find(name);
    const Tensor whole = extra->read(i);
    const std::int64_t numel = extra->tensors()[i].numel();
    std::vector<std::byte> part;
    for (std::int64_t first = 0; first <= numel; ++first) {
      for (std::int64_t count = 0; first + count <= numel; count += 1 + count / 3) {
        part.assign(static_cast<std::size_t>(count * 4), std::byte{0xee});
        extra->read(i, first, count, part);
        REQUIRE(std::ranges::equal(part, whole.bytes().subspan(static_cast<std::size_t>(first * 4), part.size())));
      }
    }
  }
}

TEST_CASE("sparse: values at one place add up in their own type") {
  const auto added = [](DType dtype, auto a, auto b) {
    const bool fits =
        formats::add_values(dtype, std::as_writable_bytes(std::span(&a, 1)), std::as_bytes(std::span(&b, 1)));
    REQUIRE(fits);
    return a;
  };
  CHECK(added(DType::Float32, 1.5f, 2.25f) == 3.75f);
  CHECK(added(DType::Float64, 1.5, 2.25) == 3.75);
  CHECK(added(DType::UInt8, std::uint8_t{200}, std::uint8_t{100}) == 44);
  CHECK(added(DType::Int16, std::int16_t{-3}, std::int16_t{1}) == -2);
  CHECK(added(DType::Int32, std::int32_t{-3}, std::int32_t{1}) == -2);
  CHECK(added(DType::Int64, std::int64_t{1} << 40, std::int64_t{1}) == (std::int64_t{1} << 40) + 1);
  CHECK(added(DType::Bool, std::uint8_t{0}, std::uint8_t{1}) == 1);
  CHECK(added(DType::Float16, std::uint16_t{0}, std::uint16_t{0x3c00}) == 0x3c00);
  CHECK(added(DType::BFloat16, std::uint16_t{0}, std::uint16_t{0x8000}) == 0);
  std::uint16_t one = 0x3c00;
  const auto bytes = std::as_writable_bytes(std::span(&one, 1));
  CHECK_FALSE(formats::add_values(DType::Float16, bytes, bytes));
  CHECK_FALSE(formats::add_values(DType::Float8E4M3FN, bytes, bytes));
}

TEST_CASE("sparse: indices are checked before a value is delivered") {
  const test::TempDir dir;
  const PickleBuilder csr = compressed("torch.sparse_csr", 3, 2, 2, 4);
  const auto sound = open_sparse(dir, csr, {0, 1, 2}, {3, 0});
  const Tensor dense = sound->read(0);
  CHECK(std::ranges::equal(dense.as<float>(), std::vector<float>{0, 0, 0, 1, 2, 0, 0, 0}));
  struct Case {
    std::vector<std::int64_t> pointers, indices;
  };
  for (const Case& bad : std::vector<Case>{{{0, 1, 2}, {4, 0}},
                                           {{0, 1, 2}, {-1, 0}},
                                           {{1, 1, 2}, {3, 0}},
                                           {{0, 1, 1}, {3, 0}},
                                           {{0, 3, 2}, {3, 0}},
                                           {{0, -1, 2}, {3, 0}}}) {
    const auto checkpoint = open_sparse(dir, csr, bad.pointers, bad.indices);
    const auto error = test::error_of([&] { checkpoint->read(0); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().tensor == "a");
  }
  CHECK(test::code_of([&] {
          open_sparse(dir, compressed("torch.sparse_csr", 4, 2, 2, 4), {0, 1, 2, 2}, {3, 0});
        }) == ErrorCode::Corrupt);
  CHECK(test::code_of([&] {
          open_sparse(dir, compressed("torch.jagged", 3, 2, 2, 4), {0, 1, 2}, {3, 0});
        }) == ErrorCode::Unsupported);
}

TEST_CASE("quantized: integers, scales and zero points are one weight, whose values are PyTorch's") {
  const auto checkpoint = open_checkpoint(test::data_dir() / "pt" / "quantized_tensors.pt");
  const Source source = describe(*checkpoint);
  CHECK(source.dialect == "torch_quantized");
  for (const LogicalTensor& tensor : source.tensors) {
    CAPTURE(tensor.info.name);
    if (tensor.info.name.starts_with("pt_qint32")) {
      CHECK_FALSE(tensor.spec);
      continue;
    }
    REQUIRE(tensor.spec);
    const Tensor values = read_float(*checkpoint, tensor);
    const Tensor codes = checkpoint->read(tensor.parts[0].tensor);
    const Tensor scales = checkpoint->read(tensor.parts[1].tensor);
    const Tensor zeros = checkpoint->read(tensor.parts[2].tensor);
    const bool columns = scales.shape()[1] != 1;
    for (std::size_t i = 0; i < 48; ++i) {
      const std::size_t channel = numel(scales.shape()) == 1 ? 0 : columns ? i % 8 : i / 8;
      const std::int64_t code =
          tensor.spec->element == DType::Int8 ? codes.as<std::int8_t>()[i] : codes.as<std::uint8_t>()[i];
      const auto scale = static_cast<float>(scales.as<double>()[channel]);
      const std::int64_t zero = zeros.as<std::int64_t>()[channel];
      CHECK(values.as<float>()[i] == static_cast<float>(code - zero) * scale);
    }
  }
}

TEST_CASE("torch kinds: a tensor of another device is its array, if it is of that type") {
  const auto device = [](const char* code, const char* dtype, const char* bytes) {
    PickleBuilder p;
    p.proto().empty_dict().text("a").global("torch._utils", "_rebuild_device_tensor_from_numpy").mark();
    p.global("numpy.core.multiarray", "_reconstruct").mark().global("numpy", "ndarray").integers({0}).text("b").tuple();
    p.reduce().mark().integer(1).integers({2, 1}).global("numpy", "dtype").mark().text(code).boolean(false);
    p.boolean(true).tuple().reduce().mark().integer(3).text("<").none().none().none().integer(-1).integer(-1).integer(
        0);
    p.tuple().build().boolean(false).global("_codecs", "encode").mark().text(bytes).text("latin1").tuple().reduce();
    p.tuple().build().global("torch", dtype).text("xla:0").boolean(false).tuple().reduce().setitem();
    return p;
  };
  const test::TempDir dir;
  const auto checkpoint =
      test::open_torch(dir, {.pickle = device("i2", "int16", "\x01\x02\xc3\xbf\x7f").bytes() + "."});
  CHECK(checkpoint->tensors()[0].shape == Shape{2, 1});
  CHECK(checkpoint->read(0).as<std::int16_t>()[0] == 0x0201);
  CHECK(checkpoint->read(0).as<std::int16_t>()[1] == 0x7fff);
  CHECK(torch_error(device("i2", "int32", "abcd"))->code() == ErrorCode::Unsupported);
  CHECK(torch_error(device("i2", "int16", "abc"))->code() == ErrorCode::Corrupt);
}

TEST_CASE("torch kinds: of a module the state_dict is read, and what it leaves out is accounted for") {
  PickleBuilder p;
  p.proto().global("my.nets", "Net").empty_tuple().newobj().empty_dict();
  p.text("_parameters").empty_dict().text("w").vector("0", 6).setitem().text("bias").none().setitem().setitem();
  p.text("_buffers")
      .empty_dict()
      .text("mean")
      .vector("1", 6)
      .setitem()
      .text("cache")
      .vector("2", 6)
      .setitem()
      .setitem();
  p.text("_non_persistent_buffers_set").raw("\x8f(").text("cache").raw("\x90").setitem();
  p.text("_modules").empty_dict().text("child").global("torch.nn.modules.linear", "Linear").empty_tuple().newobj();
  p.empty_dict().text("_parameters").empty_dict().text("weight").vector("0", 6).setitem().setitem().build().setitem();
  p.text("gone").none().setitem().setitem().text("table").vector("1", 6).setitem().build();
  CHECK(torch_names(p) == Names{"w", "mean", "child.weight"});
  const test::TempDir dir;
  const test::TorchFile file{.pickle = p.bytes() + ".",
                             .storages = {test::float_bytes(6), test::float_bytes(6), test::float_bytes(6)}};
  const auto checkpoint = test::open_torch(dir, file);
  CHECK(checkpoint->tensors()[2].layer_type == "Linear");
  CHECK(checkpoint->tensors()[0].storage == checkpoint->tensors()[2].storage);
  REQUIRE(checkpoint->left_out().size() == 2);
  CHECK(checkpoint->left_out()[0].what == "cache");
  CHECK(checkpoint->left_out()[1].what == "table");
}

TEST_CASE("torch kinds: attributes and items of foreign objects are parts of the tree") {
  PickleBuilder p;
  p.proto().global("my.lib", "Averaged").empty_tuple().newobj().empty_dict().text("decay").integer(1).setitem();
  p.text("shadow").empty_dict().text("w").vector("0", 6).setitem().setitem().build();
  CHECK(torch_names(p) == Names{"w"});
  CHECK(torch_names(p, ".") == Names{"shadow.w"});
  PickleBuilder pair;  // a named tuple
  pair.proto().global("my.lib", "Pair").mark().vector("0", 6).vector("1", 6).tuple().newobj();
  CHECK(torch_names(pair) == Names{"0", "1"});
  const test::TempDir dir;
  const test::TorchFile file{.pickle = pair.bytes() + ".", .storages = {test::float_bytes(6), test::float_bytes(6)}};
  const auto path = test::write_file(dir / "pair.pt", test::torch_bytes(file));
  const auto error = test::error_of([&] { open_checkpoint(path, {.strict = true}); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Unsupported);
  CHECK(error->details().message.find("my.lib.Pair") != std::string::npos);
}

TEST_CASE("strict: files whose objects PyTorch's restricted loader takes are read, others are not") {
  const auto strict = [](const char* file) {
    return test::code_of([&] { open_checkpoint(test::data_dir() / "pt" / file, {.strict = true}); });
  };
  for (const char* file : {"state_dict.pt", "views.pt", "quantized_tensors.pt", "sparse.pt", "state_dict_legacy.pt",
                           "training_checkpoint.pt"}) {
    CAPTURE(std::string(file));
    CHECK_FALSE(strict(file));
  }
  for (const char* file : {"module_full.pt", "namespace_numpy.pt", "torchscript_script.pt"}) {
    CAPTURE(std::string(file));
    CHECK(strict(file) == ErrorCode::Unsupported);
  }
}

namespace {

// The text of the scalar at a path of the tree, or nothing.
std::optional<std::string> scalar_at(const std::vector<ContentNode>& nodes, const std::vector<std::string>& path) {
  std::vector<std::string> at;
  for (const ContentNode& node : nodes) {
    at.resize(static_cast<std::size_t>(node.depth));
    at.push_back(node.key);
    const bool here = std::equal(at.begin() + 1, at.end(), path.begin(), path.end());
    if (here && (node.kind == "scalar" || node.kind == "array")) return node.text;
  }
  return std::nullopt;
}

std::string expected_text(const json::Value& value) {
  if (const bool* boolean = value.as_bool()) return *boolean ? "True" : "False";
  if (value.is_null()) return "None";
  if (const std::string* text = value.as_string()) {
    if (*text == "Infinity" || *text == "inf") return "inf";
    return "'" + *text + "'";
  }
  return json::dump(value, -1);
}

}  // namespace

TEST_CASE("contents: the tree has every scalar that PyTorch found, with its value") {
  for (const std::string name :
       {"training_checkpoint.pt", "training_checkpoint_legacy.pt", "namespace_numpy.pt", "tar_0_1_9.pt"}) {
    CAPTURE(name);
    const std::string file = name + ".oracle.json";
    const json::Value oracle = json::parse(test::read_file(test::data_dir() / "pt" / file), file);
    const std::vector<ContentNode> nodes = list_contents(test::data_dir() / "pt" / name, {});
    for (const json::Value& scalar : *oracle.find("scalars")->as_array()) {
      std::vector<std::string> path;
      for (const json::Value& key : *scalar.find("path")->as_array()) path.push_back(*key.as_string());
      const std::string joined = json::dump(*scalar.find("path"), -1);
      CAPTURE(joined);
      const auto found = scalar_at(nodes, path);
      REQUIRE(found);
      const json::Value& value = *scalar.find("value");
      if (value.as_double() != nullptr) {
        CHECK(std::stod(*found) == *value.as_double());
      } else {
        CHECK(*found == expected_text(value));
      }
    }
  }
}

TEST_CASE("contents: shared values are listed once, sums count each tensor once, files without objects group names") {
  const auto nodes = list_contents(test::data_dir() / "pt" / "training_checkpoint.pt", {});
  REQUIRE_FALSE(nodes.empty());
  CHECK(nodes[0].kind == "dict");
  CHECK(nodes[0].tensors == 72);
  PickleBuilder p;
  p.proto().empty_dict().text("a").empty_dict().put(1).text("w").vector("0", 6).setitem().setitem().text("b").get(1);
  p.setitem();
  const test::TempDir dir;
  const test::TorchFile file{.pickle = p.bytes() + ".", .storages = {test::float_bytes(6)}};
  const auto shared = list_contents(test::write_file(dir / "s.pt", test::torch_bytes(file)), {});
  REQUIRE(shared.size() == 4);
  CHECK(shared[3].kind == "same");
  CHECK(shared[3].text == "a");
  CHECK(shared[0].tensors == 1);
  const auto names = list_contents(test::data_dir() / "cnn" / "cnn.safetensors", {});
  CHECK(names[0].kind == "group");
  CHECK(std::ranges::count(names, "tensor", &ContentNode::kind) == 23);
}
