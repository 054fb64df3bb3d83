// The containers of PyTorch beside the zip archive of torch.save, put together by hand: what the files that PyTorch
// itself wrote (torch_fixtures_test.cpp) do not have.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/paths.hpp"
#include "tests/support/sha256.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using test::PickleBuilder;
using test::ZipBuilder;
using Names = std::vector<std::string>;

namespace {

Names names_of(const Checkpoint& checkpoint) {
  Names names;
  for (const TensorInfo& tensor : checkpoint.tensors()) names.push_back(tensor.name);
  return names;
}

std::unique_ptr<Checkpoint> open_bytes(const test::TempDir& dir, const std::string& bytes, OpenOptions options = {}) {
  return open_checkpoint(test::write_file(dir / "m.pt", bytes), options);
}

float first_value(const Checkpoint& checkpoint, std::string_view name) {
  return checkpoint.read(*checkpoint.find(name)).as<float>()[0];
}

// __torch__.Net with attributes.
std::string script_module(bool with_weight) {
  PickleBuilder p;
  p.proto().global("__torch__", "Net").empty_tuple().newobj().empty_dict().text("training").boolean(false).setitem();
  p.text("sizes").global("torch.jit._pickle", "build_intlist").mark().empty_list().tuple().reduce().setitem();
  if (with_weight) p.text("w").vector("0", 6).setitem();
  p.text("states").global("torch.jit._pickle", "restore_type_tag").mark().empty_dict();
  if (with_weight) p.text("h").vector("0", 6).setitem();
  p.text("Dict[str, Tensor]").tuple().reduce().setitem().build();
  return p.bytes() + ".";
}

std::string script_constants(bool with_tensor) {
  PickleBuilder p;
  p.proto().mark();
  if (with_tensor) p.vector("0", 3);
  p.tuple();
  return p.bytes() + ".";
}

std::string script(bool with_weight, bool with_constant) {
  ZipBuilder zip;
  zip.add("net/data.pkl", script_module(with_weight)).add("net/constants.pkl", script_constants(with_constant));
  if (with_weight) zip.add("net/data/0", test::float_bytes(6, 1));
  if (with_constant) zip.add("net/constants/0", test::float_bytes(3, 7));
  zip.add("net/code/__torch__.py", "import os\n").add("net/version", "3\n").add("net/extra/labels.txt", "cat dog");
  return zip.finish();
}

// One stream: pickles, then storages.
std::string stream(const PickleBuilder& object, const std::vector<std::string>& keys, const std::string& storages) {
  std::string bytes("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", 21);
  PickleBuilder system;
  system.proto().empty_dict().text("little_endian").boolean(true).setitem();
  PickleBuilder list;
  list.proto().empty_list();
  for (const std::string& key : keys) list.text(key).append();
  return bytes + system.bytes() + "." + object.bytes() + "." + list.bytes() + "." + storages;
}

std::string counted(std::int64_t numel, const std::string& data) {
  return PickleBuilder().number(numel).bytes() + data;
}

PickleBuilder& stream_storage(PickleBuilder& p, std::int64_t first = -1, std::int64_t count = 0) {
  p.mark().text("storage").global("torch", "FloatStorage").text("94001").text("cpu").integer(6);
  if (first < 0) {
    p.none();
  } else {
    p.mark().text("94002").integer(first).integer(count).tuple();
  }
  return p.tuple().raw("Q");
}

void stream_tensor(PickleBuilder& p, std::int64_t offset, std::int64_t size, std::int64_t first = -1,
                   std::int64_t count = 0) {
  p.global("torch._utils", "_rebuild_tensor_v2").mark();
  stream_storage(p, first, count).integer(offset).integers({size}).integers({1}).boolean(false).ordered_dict();
  p.tuple().reduce();
}

}  // namespace

TEST_CASE("torch script: attributes give names, typed containers are looked through, constants are named as in code") {
  const test::TempDir dir;
  const auto both = open_bytes(dir, script(true, true));
  CHECK(both->format() == "torch_script");
  CHECK(names_of(*both) == Names{"w", "states.h", "CONSTANTS.c0"});
  CHECK(both->tensors()[0].layer_type == "Net");
  CHECK(first_value(*both, "w") == 1);
  CHECK(first_value(*both, "CONSTANTS.c0") == 7);
  REQUIRE(both->left_out().size() == 1);
  CHECK(both->left_out()[0].what == "file extra/labels.txt");
  // A frozen module has constants only.
  CHECK(names_of(*open_bytes(dir, script(false, true))) == Names{"CONSTANTS.c0"});
  CHECK(names_of(*open_bytes(dir, script(true, false))) == Names{"w", "states.h"});
  CHECK(names_of(*open_bytes(dir, script(true, true), {.root = "states"})) == Names{"h"});
  CHECK(open_bytes(dir, script(false, false))->tensors().empty());
}

TEST_CASE("torch script: an archive without a module is refused") {
  const test::TempDir dir;
  const std::string bytes = ZipBuilder().add("n/constants.pkl", script_constants(false)).add("n/version", "3").finish();
  CHECK(test::code_of([&] { open_bytes(dir, bytes); }) == ErrorCode::Corrupt);
}

TEST_CASE("torch export: programs of the old layout hold torch.save files") {
  const test::TempDir dir;
  const std::string state = test::read_file(test::data_dir() / "pt" / "state_dict.pt");
  PickleBuilder constants;
  constants.proto().empty_dict().text("offsets").vector("0", 6).setitem();
  const std::string constants_file =
      test::torch_bytes({.pickle = constants.bytes() + ".", .storages = {test::float_bytes(6, 3)}});
  for (const char* suffix : {".pt", ".json"}) {
    const std::string bytes = ZipBuilder()
                                  .add("serialized_exported_program.json", "{}")
                                  .add("serialized_state_dict" + std::string(suffix), state)
                                  .add("serialized_constants" + std::string(suffix), constants_file)
                                  .add("version", "8.2")
                                  .finish();
    const auto program = open_bytes(dir, bytes);
    const auto original = open_checkpoint(test::data_dir() / "pt" / "state_dict.pt");
    CHECK(program->format() == "torch_export");
    REQUIRE(program->tensors().size() == original->tensors().size() + 1);
    for (std::size_t i = 0; i < original->tensors().size(); ++i) {
      CHECK(program->tensors()[i].name == original->tensors()[i].name);
      CHECK(std::ranges::equal(program->read(i).bytes(), original->read(i).bytes()));
    }
    CHECK(first_value(*program, "offsets") == 3);
  }
  const std::string none = ZipBuilder().add("serialized_exported_program.json", "{}").finish();
  CHECK(test::message_of([&] { open_bytes(dir, none); }).find("serialized_state_dict") != std::string::npos);
}

namespace {

std::string payload(std::string_view record, std::string_view shape, std::string_view meta = "") {
  return R"({"path_name": ")" + std::string(record) + R"(", "is_param": true, "use_pickle": false, "tensor_meta": )" +
         R"({"dtype": 7, "sizes": )" + std::string(shape) + R"(, "strides": [{"as_int": 1}], )" +
         R"("storage_offset": {"as_int": 0}, "layout": 7)" + std::string(meta) + "}}";
}

std::string program(const std::vector<std::string>& models, const std::string& weights) {
  ZipBuilder zip;
  zip.add("p/archive_format", "pt2").add("p/.data/version", "6\n");
  for (const std::string& model : models) {
    zip.add("p/models/" + model + ".json", "{}");
    zip.add("p/data/weights/" + model + "_weights_config.json", R"({"config": )" + weights + "}");
    zip.add("p/data/constants/" + model + "_constants_config.json", R"({"config": {}})");
  }
  return zip.add("p/data/weights/weight_0", test::float_bytes(6, 2)).finish();
}

}  // namespace

TEST_CASE("torch export: several names may share a storage, several models give prefixes, a root chooses one") {
  const test::TempDir dir;
  const std::string shape = R"([{"as_int": 6}])";
  const std::string weights =
      R"({"a": )" + payload("weight_0", shape) + R"(, "b": )" + payload("weight_0", shape) + "}";
  const auto one = open_bytes(dir, program({"model"}, weights));
  CHECK(names_of(*one) == Names{"a", "b"});
  CHECK(one->tensors()[0].storage != 0);
  CHECK(one->tensors()[0].storage == one->tensors()[1].storage);
  CHECK(first_value(*one, "b") == 2);
  const std::string two = program({"encoder", "decoder"}, weights);
  CHECK(names_of(*open_bytes(dir, two)) == Names{"encoder.a", "encoder.b", "decoder.a", "decoder.b"});
  CHECK(names_of(*open_bytes(dir, two, {.root = "decoder"})) == Names{"a", "b"});
  CHECK(test::code_of([&] { open_bytes(dir, two, {.root = "neither"}); }) == ErrorCode::Usage);
}

TEST_CASE("torch export: a list of tensors that the records contradict is refused, with the tensor's name") {
  const test::TempDir dir;
  struct Case {
    std::string entry;
    ErrorCode code;
  };
  const std::string shape = R"([{"as_int": 6}])";
  for (const Case& bad : std::vector<Case>{
           {payload("weight_1", shape), ErrorCode::Corrupt},
           {payload("weight_0", R"([{"as_int": 7}])"), ErrorCode::Corrupt},
           {payload("weight_0", R"([{"as_int": -1}])"), ErrorCode::Corrupt},
           {payload("weight_0", R"([{"as_expr": {"expr_str": "s0"}}])"), ErrorCode::Unsupported},
           {payload("weight_0", R"([{"as_int": 4}, {"as_int": 1}])"), ErrorCode::Corrupt},
           {R"({"path_name": "weight_0", "use_pickle": false, "tensor_meta": {"dtype": 99}})", ErrorCode::Unsupported},
           {R"({"path_name": 3, "use_pickle": false, "tensor_meta": null})", ErrorCode::Corrupt},
           {R"({"path_name": "weight_0", "use_pickle": 0, "tensor_meta": null})", ErrorCode::Corrupt},
           {R"({"use_pickle": false})", ErrorCode::Corrupt},
           {"[]", ErrorCode::Corrupt}}) {
    CAPTURE(bad.entry);
    const auto error = test::error_of([&] { open_bytes(dir, program({"model"}, R"({"a": )" + bad.entry + "}")); });
    REQUIRE(error);
    CHECK(error->code() == bad.code);
    CHECK(error->details().tensor == "a");
  }
}

TEST_CASE("torch stream: slices of storages and classes with their source are read") {
  const test::TempDir dir;
  PickleBuilder p;
  p.proto().empty_dict().text("whole");
  stream_tensor(p, 0, 6);
  p.setitem().text("slice");
  stream_tensor(p, 1, 2, 2, 3);  // elements 3 and 4 of the root
  p.setitem()
      .text("model")
      .mark()
      .text("module")
      .global("my.nets", "Net")
      .text("net.py")
      .text("class Net: pass")
      .tuple();
  p.raw("Q").empty_tuple().newobj().empty_dict().text("_parameters").empty_dict().text("w");
  stream_tensor(p, 0, 6);
  p.setitem().setitem().build().setitem().text("storage");
  stream_storage(p).setitem();
  const auto checkpoint = open_bytes(dir, stream(p, {"94001"}, counted(6, test::float_bytes(6))), {.root = "."});
  CHECK(checkpoint->format() == "torch_legacy");
  CHECK(names_of(*checkpoint) == Names{"whole", "slice", "model.w", "storage"});
  CHECK(first_value(*checkpoint, "slice") == 3);
  CHECK(checkpoint->tensors()[2].layer_type == "Net");
  CHECK(first_value(*checkpoint, "storage") == 0);
}

TEST_CASE("torch tar: an archive of other members is named as what it is") {
  const test::TempDir dir;
  std::string header(512, '\0');
  header.replace(0, 5, "a.txt");
  header.replace(124, 11, "00000000000");
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char checksum[8];
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  header.replace(148, 6, checksum).replace(154, 1, 1, '\0');
  header.replace(257, 5, "ustar");
  // The name of the magic is part of the sum.
  for (const char c : std::string("ustar")) sum += static_cast<unsigned char>(c);
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  header.replace(148, 6, checksum);
  CHECK(test::message_of([&] { open_bytes(dir, header + std::string(1024, '\0')); }).find("a tar archive") !=
        std::string::npos);
}

TEST_CASE("torch zip: checksums of tensor data are verified unless that is not wanted") {
  const auto source = test::data_dir() / "pt" / "state_dict.pt";
  std::string bytes = test::read_file(source);
  const auto sound = open_checkpoint(source);
  const Tensor first = sound->read(0);
  const std::string_view data(reinterpret_cast<const char*>(first.bytes().data()), first.bytes().size());
  const std::size_t at = bytes.find(data);
  REQUIRE(at != std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  const test::TempDir dir;
  const auto path = test::write_file(dir / "m.pt", bytes);
  CHECK(test::code_of([&] { open_checkpoint(path)->read(0); }) == ErrorCode::Corrupt);
  const Tensor damaged = open_checkpoint(path, {.verify_checksums = false})->read(0);
  CHECK((damaged.bytes()[0] ^ first.bytes()[0]) == std::byte{1});
}
