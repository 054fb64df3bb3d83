#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <ctime>
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
  std::string dtype;
  Shape shape;
  std::string sha256;
};

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
    entry.dtype = *tensor.find("dtype")->as_string();
    for (const json::Value& size : *tensor.find("shape")->as_array()) entry.shape.push_back(*size.as_int());
    if (const json::Value* digest = tensor.find("sha256")) entry.sha256 = *digest->as_string();
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

TEST_CASE("torch zip: every tensor of a file by PyTorch has the name, dtype, shape and bytes of its oracle, in order") {
  for (const std::string name :
       {"aligned_4096.pt", "big_storage_small_view.pt", "dtypes.pt", "int_keys.pt", "list_of_tensors.pt",
        "many_small.pt", "namespace_numpy.pt", "no_crc.pt", "parameter.pt", "shared_storage.pt", "single_tensor.pt",
        "state_dict.pt", "state_dict_proto2.pt", "state_dict_proto3.pt", "state_dict_proto4.pt", "state_dict_proto5.pt",
        "training_checkpoint.pt", "unicode_keys.pt", "views.pt"}) {
    CAPTURE(name);
    const std::vector<Expected> expected = read_oracle(name);
    const auto checkpoint = open_pt(name, ".");
    CHECK(checkpoint->format() == "torch_zip");
    REQUIRE(checkpoint->tensors().size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const TensorInfo& tensor = checkpoint->tensors()[i];
      CAPTURE(expected[i].name);
      CHECK(tensor.name == expected[i].name);
      CHECK(to_string(tensor.dtype) == expected[i].dtype);
      CHECK(tensor.shape == expected[i].shape);
      CHECK(test::sha256(checkpoint->read(i).bytes()) == expected[i].sha256);
    }
  }
}

TEST_CASE("torch zip: a file of a kind that is not read is refused with an error that names the kind") {
  struct Refusal {
    const char* file;
    const char* says;
  };
  for (const Refusal& refusal : std::vector<Refusal>{
           {"dynamic_quantized_state_dict.pt", "fc1._packed_params._packed_params.0: a quantized tensor is not read"},
           {"quantized_tensors.pt", "pt_qint8: a quantized tensor is not read"},
           {"sparse.pt", "coo: a sparse tensor is not read"},
           {"module_full.pt", "whole pickled module (class __main__.Net)"},
           {"torchscript_script.pt", "a TorchScript archive (torch.jit.save) is not read"},
           {"torchscript_trace.pt", "a TorchScript archive (torch.jit.save) is not read"},
           {"exported.pt2", "a torch.export archive (.pt2) is not read"},
           {"module_full_legacy.pt", "before version 1.6"},
           {"state_dict_legacy.pt", "before version 1.6"},
           {"training_checkpoint_legacy.pt", "before version 1.6"}}) {
    CAPTURE(refusal.file);
    for (const char* root : {"", "."}) {
      const auto error = test::error_of([&] { open_pt(refusal.file, root); });
      REQUIRE(error);
      CAPTURE(error->what());
      CHECK(error->code() == ErrorCode::Unsupported);
      CHECK(std::string(error->what()).find(refusal.says) != std::string::npos);
    }
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

TEST_CASE("torch zip: state dicts of trained networks equal their safetensors siblings") {
  for (const std::string name : {"cnn", "mobile"}) {
    CAPTURE(name);
    const auto torch = open_checkpoint(test::data_dir() / "cnn" / (name + ".pt"));
    const auto safetensors = open_checkpoint(test::data_dir() / "cnn" / (name + ".safetensors"));
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
