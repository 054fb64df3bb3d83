#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "src/json.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sha256.hpp"

using namespace mq;

namespace {

struct Expected {
  std::string name;
  std::string dtype;  // of the integers, if the tensor is quantized
  Shape shape;
  std::string sha256;  // of the densified tensor, if it is sparse
  std::vector<double> scales = {};
  std::vector<double> zero_points = {};
};

// What PyTorch calls the integers of its quantized types.
std::string integer_type(const std::string& dtype) {
  if (dtype == "qint8") return "int8";
  if (dtype == "quint8" || dtype == "quint4x2") return "uint8";
  return dtype == "qint32" ? "int32" : dtype;
}

double number(const json::Value& value) {
  const std::int64_t* integer = value.as_int();
  return integer != nullptr ? static_cast<double>(*integer) : *value.as_double();
}

void read_parameters(const json::Value& tensor, Expected& entry) {
  if (const json::Value* scale = tensor.find("scale")) {
    entry.scales = {number(*scale)};
    entry.zero_points = {number(*tensor.find("zero_point"))};
  }
  if (const json::Value* scales = tensor.find("scales")) {
    for (const json::Value& value : *scales->as_array()) entry.scales.push_back(number(value));
    for (const json::Value& value : *tensor.find("zero_points")->as_array()) {
      entry.zero_points.push_back(number(value));
    }
  }
}

// What PyTorch found in the file, in its order.
std::vector<Expected> read_oracle(const std::string& name) {
  const std::string file = name + ".oracle.json";
  const json::Value oracle = json::parse(test::read_file(test::data_dir() / "pt" / file), file);
  std::vector<Expected> expected;
  for (const json::Value& tensor : *oracle.find("tensors")->as_array()) {
    Expected entry;
    bool first = true;
    for (const json::Value& key : *tensor.find("path")->as_array()) {
      entry.name += (first ? "" : ".") + *key.as_string();
      first = false;
    }
    if (first) entry.name = "tensor";
    entry.dtype = integer_type(*tensor.find("dtype")->as_string());
    for (const json::Value& size : *tensor.find("shape")->as_array()) entry.shape.push_back(*size.as_int());
    for (const char* key : {"sha256", "dense_sha256"}) {
      if (const json::Value* digest = tensor.find(key)) entry.sha256 = *digest->as_string();
    }
    read_parameters(tensor, entry);
    expected.push_back(std::move(entry));
  }
  return expected;
}

std::unique_ptr<Checkpoint> open_pt(const std::string& name, std::string root = {}) {
  return open_checkpoint(test::data_dir() / "pt" / name, {.root = std::move(root)});
}

std::size_t index_of(const Checkpoint& checkpoint, std::string_view name) {
  const auto index = checkpoint.find(name);
  REQUIRE_MESSAGE(index, name);
  return *index;
}

}  // namespace

namespace {

void check_tensor(const Checkpoint& checkpoint, std::size_t i, const Expected& expected) {
  const TensorInfo& tensor = checkpoint.tensors()[i];
  CHECK(tensor.name == expected.name);
  CHECK(to_string(tensor.dtype) == expected.dtype);
  CHECK(tensor.shape == expected.shape);
  CHECK(test::sha256(checkpoint.read(i).bytes()) == expected.sha256);
}

template <class T>
std::vector<double> numbers_as(const Tensor& tensor) {
  const auto values = tensor.view().as<T>();
  return {values.begin(), values.end()};
}

std::vector<double> numbers(const Tensor& tensor) {
  if (tensor.dtype() == DType::Float32) return numbers_as<float>(tensor);
  return tensor.dtype() == DType::Int64 ? numbers_as<std::int64_t>(tensor) : numbers_as<double>(tensor);
}

// The parameters of a quantized tensor follow it.
void check_parameters(const Checkpoint& checkpoint, std::size_t i, const Expected& expected) {
  CHECK(checkpoint.tensors()[i].name == expected.name + ".q_scale");
  CHECK(checkpoint.tensors()[i + 1].name == expected.name + ".q_zero_point");
  const Tensor scales = checkpoint.read(i);
  const Tensor zero_points = checkpoint.read(i + 1);
  CHECK(scales.shape().size() == expected.shape.size());
  CHECK(numbers(scales) == expected.scales);
  CHECK(numbers(zero_points) == expected.zero_points);
}

}  // namespace

TEST_CASE("torch: every tensor of a file by PyTorch has the name, dtype, shape and bytes of its oracle, in order") {
  struct File {
    const char* name;
    const char* format;
  };
  for (const File& file : std::vector<File>{{"aligned_4096.pt", "torch_zip"},
                                            {"big_storage_small_view.pt", "torch_zip"},
                                            {"dtypes.pt", "torch_zip"},
                                            {"dynamic_quantized_state_dict.pt", "torch_zip"},
                                            {"int_keys.pt", "torch_zip"},
                                            {"list_of_tensors.pt", "torch_zip"},
                                            {"many_small.pt", "torch_zip"},
                                            {"module_full.pt", "torch_zip"},
                                            {"module_full_legacy.pt", "torch_legacy"},
                                            {"namespace_numpy.pt", "torch_zip"},
                                            {"no_crc.pt", "torch_zip"},
                                            {"parameter.pt", "torch_zip"},
                                            {"quantized_tensors.pt", "torch_zip"},
                                            {"shared_storage.pt", "torch_zip"},
                                            {"single_tensor.pt", "torch_zip"},
                                            {"sparse.pt", "torch_zip"},
                                            {"state_dict.pt", "torch_zip"},
                                            {"state_dict_legacy.pt", "torch_legacy"},
                                            {"state_dict_proto2.pt", "torch_zip"},
                                            {"state_dict_proto3.pt", "torch_zip"},
                                            {"state_dict_proto4.pt", "torch_zip"},
                                            {"state_dict_proto5.pt", "torch_zip"},
                                            {"torchscript_script.pt", "torch_script"},
                                            {"torchscript_trace.pt", "torch_script"},
                                            {"training_checkpoint.pt", "torch_zip"},
                                            {"training_checkpoint_legacy.pt", "torch_legacy"},
                                            {"unicode_keys.pt", "torch_zip"},
                                            {"views.pt", "torch_zip"},
                                            {"extra.pt", "torch_zip"},
                                            {"tar_0_1_9.pt", "torch_tar"}}) {
    CAPTURE(std::string(file.name));
    const std::vector<Expected> expected = read_oracle(file.name);
    const auto checkpoint = open_pt(file.name, ".");
    CHECK(checkpoint->format() == file.format);
    std::size_t at = 0;
    for (const Expected& tensor : expected) {
      CAPTURE(tensor.name);
      REQUIRE(at < checkpoint->tensors().size());
      check_tensor(*checkpoint, at++, tensor);
      if (tensor.scales.empty()) continue;
      REQUIRE(at + 1 < checkpoint->tensors().size());
      check_parameters(*checkpoint, at, tensor);
      at += 2;
    }
    CHECK(at == checkpoint->tensors().size());
  }
}

// The file lists parameters before buffers; the oracle has the order of the state_dict, which the file does not hold.
TEST_CASE("torch export: every tensor of a program has the dtype, shape and bytes of its oracle") {
  const std::vector<Expected> expected = read_oracle("exported.pt2");
  const auto checkpoint = open_pt("exported.pt2");
  CHECK(checkpoint->format() == "torch_export");
  REQUIRE(checkpoint->tensors().size() == expected.size());
  for (const Expected& tensor : expected) {
    CAPTURE(tensor.name);
    check_tensor(*checkpoint, index_of(*checkpoint, tensor.name), tensor);
  }
}

TEST_CASE("torch zip: of a training checkpoint the model is chosen, and the rest is accounted for") {
  const auto checkpoint = open_pt("training_checkpoint.pt");
  std::vector<Expected> model;
  for (Expected& tensor : read_oracle("training_checkpoint.pt")) {
    if (!tensor.name.starts_with("model.")) continue;
    tensor.name.erase(0, std::string("model.").size());
    model.push_back(std::move(tensor));
  }
  REQUIRE(checkpoint->tensors().size() == model.size());
  for (std::size_t i = 0; i < model.size(); ++i) {
    CHECK(checkpoint->tensors()[i].name == model[i].name);
    CHECK(test::sha256(checkpoint->read(i).bytes()) == model[i].sha256);
  }
  std::vector<std::string> left_out;
  for (const LeftOut& part : checkpoint->left_out()) left_out.push_back(part.what);
  CHECK(left_out == std::vector<std::string>{"epoch = 3", "best = inf", "optimizer", "sched (dict of 8)",
                                             "args (dict of 7)", "rng", "ema"});
  const LeftOut& optimizer = checkpoint->left_out()[2];
  CHECK(optimizer.tensors == 30);
  CHECK(optimizer.size_bytes == 11664);
}

TEST_CASE("torch zip: a root chooses a part, and a part that is not there is named with those that are") {
  const auto model = open_pt("training_checkpoint.pt", "model");
  CHECK(model->tensors().front().name == "scale_buf");
  const auto state = open_pt("training_checkpoint.pt", "optimizer.state");
  CHECK(state->tensors().front().name == "0.step");
  const auto one = open_pt("training_checkpoint.pt", "model.stem.weight");
  REQUIRE(one->tensors().size() == 1);
  CHECK(one->tensors()[0].name == "stem.weight");
  const auto error = test::error_of([] { open_pt("training_checkpoint.pt", "modell"); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Usage);
  CHECK(error->details().expected.find("model, optimizer") != std::string::npos);
}

TEST_CASE("torch zip: tensors that are the same view of the same bytes are tied, others are not") {
  const auto views = open_pt("views.pt");
  const auto storage = [&](const Checkpoint& checkpoint, std::string_view name) {
    return checkpoint.tensors()[index_of(checkpoint, name)].storage;
  };
  CHECK(storage(*views, "tied_a") != 0);
  CHECK(storage(*views, "tied_a") == storage(*views, "tied_b"));
  CHECK(storage(*views, "transposed") == 0);
  CHECK(storage(*views, "scalar") == 0);
  const auto shared = open_pt("shared_storage.pt");
  for (const TensorInfo& tensor : shared->tensors()) CHECK(tensor.storage == 0);
}

TEST_CASE("torch zip: any range of any view is the same range of the whole tensor") {
  const auto checkpoint = open_pt("views.pt");
  for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) {
    const TensorInfo& tensor = checkpoint->tensors()[i];
    CAPTURE(tensor.name);
    const Tensor whole = checkpoint->read(i);
    const std::int64_t numel = tensor.numel();
    std::vector<std::byte> part;
    for (std::int64_t first = 0; first <= numel; first += 1 + first / 3) {
      for (std::int64_t count = 0; first + count <= numel; count += 1 + count / 2) {
        part.assign(static_cast<std::size_t>(count * 4), std::byte{0xee});
        checkpoint->read(i, first, count, part);
        const auto expected = whole.bytes().subspan(static_cast<std::size_t>(first * 4), part.size());
        REQUIRE(std::ranges::equal(part, expected));
      }
    }
    part.resize(static_cast<std::size_t>(numel + 1) * 4);
    CHECK(test::code_of([&] { checkpoint->read(i, 0, numel + 1, part); }) == ErrorCode::Usage);
  }
}

// Of the other forms of a network the large ones are beside the repository only.
TEST_CASE("torch: every form of a trained network holds what its safetensors sibling holds") {
  for (const std::string name : {"cnn", "mobile"}) {
    const auto safetensors = open_checkpoint(test::data_dir() / "cnn" / (name + ".safetensors"));
    for (const char* suffix : {".pt", "_module.pt", "_traced.pt", ".pt2", "_core_aten.pt2"}) {
      const std::string file = name + suffix;
      CAPTURE(file);
      const bool committed = suffix == std::string(".pt");
      const auto path = committed ? std::optional(test::data_dir() / "cnn" / file) : test::fixture("cnn/" + file);
      if (!path) continue;
      const auto torch = open_checkpoint(*path);
      REQUIRE(torch->tensors().size() == safetensors->tensors().size());
      for (std::size_t i = 0; i < torch->tensors().size(); ++i) {
        const TensorInfo& tensor = torch->tensors()[i];
        CAPTURE(tensor.name);
        const std::size_t sibling = index_of(*safetensors, tensor.name);
        CHECK(safetensors->tensors()[sibling].dtype == tensor.dtype);
        CHECK(safetensors->tensors()[sibling].shape == tensor.shape);
        CHECK(std::ranges::equal(torch->read(i).bytes(), safetensors->read(sibling).bytes()));
      }
    }
  }
}

TEST_CASE("torch: layers of a module know their class") {
  const auto layer = [](const Checkpoint& checkpoint, std::string_view name) {
    return checkpoint.tensors()[index_of(checkpoint, name)].layer_type;
  };
  const auto module = open_pt("module_full.pt");
  CHECK(layer(*module, "stem.weight") == "Conv2d");
  CHECK(layer(*module, "lstm.weight_ih_l0") == "LSTM");
  CHECK(layer(*module, "embed.weight") == "Embedding");
  CHECK(layer(*open_pt("torchscript_script.pt"), "l1.weight") == "Linear");
  CHECK(layer(*open_pt("state_dict.pt"), "stem.weight").empty());
}

TEST_CASE("torch zip: a file of 1500 tensors opens in a few milliseconds") {
  std::clock_t best = std::clock();
  for (int i = 0; i < 5; ++i) {
    const std::clock_t start = std::clock();
    open_pt("many_small.pt");
    best = std::min(best, std::clock() - start);
  }
  const auto micros = best / (CLOCKS_PER_SEC / 1'000'000);
  MESSAGE("many_small.pt opened in " << micros << " us of processor time");
  CHECK(micros < 200'000);  // far above the 2 ms it takes, for sanitizers
}
