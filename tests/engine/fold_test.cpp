// Batch normalizations folded into the layers before them.
#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <limits>

#include "mq/fold.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"
#include "tests/support/paths.hpp"

using namespace mq;

namespace {

constexpr double kEps = 1e-5;

std::vector<float> numbers(std::int64_t count, float first) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(first + static_cast<float>(i) / 8);
  return values;
}

void add_floats(test::MemoryCheckpoint& model, const std::string& name, Shape shape, float first = 0.5F) {
  const std::int64_t count = numel(shape);
  model.add(name, DType::Float32, std::move(shape), numbers(count, first));
}

// conv [2, 3, 1] without bias, and its normalization.
std::unique_ptr<test::MemoryCheckpoint> small_model() {
  auto model = std::make_unique<test::MemoryCheckpoint>();
  add_floats(*model, "conv.weight", {2, 3, 1});
  for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
    add_floats(*model, std::string("bn.") + part, {2});
  }
  model->add<std::int64_t>("bn.num_batches_tracked", DType::Int64, {}, {7});
  add_floats(*model, "fc.weight", {4, 2});
  return model;
}

std::vector<float> values_of(const Checkpoint& checkpoint, const std::string& name) {
  const Tensor tensor = checkpoint.read(checkpoint.find(name).value());
  const auto values = tensor.view().as<float>();
  return {values.begin(), values.end()};
}

std::string refusal(std::unique_ptr<test::MemoryCheckpoint> model, const std::vector<BatchNormFold>& folds) {
  return test::message_of([&] { fold_batch_norms(std::move(model), folds); });
}

bool says(const std::string& message, std::string_view part) {
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("fold: a trained network's fused weights are PyTorch's, bit for bit") {
  const auto folder = test::data_dir() / "cnn";
  auto original = open_checkpoint(folder / "cnn.pt");
  const std::vector<BatchNormFold> folds = find_batch_norm_folds(*original, kEps);
  CHECK(folds == std::vector<BatchNormFold>{{"conv1", "bn1", kEps}, {"conv2", "bn2", kEps}, {"conv3", "bn3", kEps}});
  const std::size_t before = original->tensors().size();
  const auto folded = fold_batch_norms(std::move(original), folds);
  const auto expected = open_checkpoint(folder / "cnn_fused_conv_bn.safetensors");
  CHECK(expected->tensors().size() == 6);
  for (const TensorInfo& tensor : expected->tensors()) {
    CAPTURE(tensor.name);
    CHECK(values_of(*folded, tensor.name) == values_of(*expected, tensor.name));
  }
  // 15 tensors of normalizations went, two biases came.
  CHECK(folded->tensors().size() == before - 15 + 2);
  CHECK(folded->left_out().size() == 15);
  CHECK(folded->left_out().front().what.find("(folded into conv") != std::string::npos);
  CHECK_FALSE(folded->find("bn1.weight"));
}

TEST_CASE("fold: any piece of a tensor is the same piece of the whole") {
  const std::vector<BatchNormFold> folds = {{"conv", "bn", kEps}};
  const auto folded = fold_batch_norms(small_model(), folds);
  for (const char* name : {"conv.weight", "conv.bias", "fc.weight"}) {
    CAPTURE(name);
    const std::size_t index = folded->find(name).value();
    const std::vector<float> whole = values_of(*folded, name);
    const auto count = static_cast<std::int64_t>(whole.size());
    for (std::int64_t first = 0; first <= count; ++first) {
      for (std::int64_t n = 0; n <= count - first; ++n) {
        std::vector<float> piece(static_cast<std::size_t>(n));
        folded->read(index, first, n, std::as_writable_bytes(std::span(piece)));
        CHECK(std::equal(piece.begin(), piece.end(), whole.begin() + first));
      }
    }
  }
  std::vector<float> two(2);
  const std::size_t bias = folded->find("conv.bias").value();
  CHECK(test::code_of([&] { folded->read(bias, 1, 2, std::as_writable_bytes(std::span(two))); }) == ErrorCode::Usage);
}

TEST_CASE("fold: the made bias follows its weight, and a normalization needs no factors of its own") {
  auto model = std::make_unique<test::MemoryCheckpoint>();
  add_floats(*model, "a.weight", {2, 2}, 1);
  model->add<float>("n.running_mean", DType::Float32, {2}, {1, 2});
  model->add<float>("n.running_var", DType::Float32, {2}, {3, 15});
  const std::vector<BatchNormFold> folds = {{"a", "n", 1}};
  const auto folded = fold_batch_norms(std::move(model), folds);
  REQUIRE(folded->tensors().size() == 2);
  CHECK(folded->tensors()[1].name == "a.bias");
  CHECK(values_of(*folded, "a.weight") == std::vector<float>{0.5F, 0.5625F, 0.3125F, 0.34375F});
  CHECK(values_of(*folded, "a.bias") == std::vector<float>{-0.5F, -0.5F});
}

TEST_CASE("fold: 16-bit layers are folded in float32 and rounded once, to the even neighbour") {
  // A factor of 1 + 2^-8 of weights 1 and 1.5: bfloat16 has 7 bits, so that both lie between two neighbours.
  const auto model = [](DType dtype, std::uint16_t one, std::uint16_t more) {
    auto made = std::make_unique<test::MemoryCheckpoint>();
    made->add<std::uint16_t>("a.weight", dtype, {1, 2}, {one, more});
    made->add<float>("n.running_mean", DType::Float32, {1}, {0});
    made->add<float>("n.running_var", DType::Float32, {1}, {0.5F});
    made->add<float>("n.weight", DType::Float32, {1}, {1 + 1.0F / 256});
    made->add<float>("n.bias", DType::Float32, {1}, {1 + 3.0F / 256});
    return made;
  };
  const std::vector<BatchNormFold> folds = {{"a", "n", 0.5}};
  const auto words = [](const Checkpoint& checkpoint, const char* name) {
    const Tensor tensor = checkpoint.read(checkpoint.find(name).value());
    std::vector<std::uint16_t> values(tensor.bytes().size() / 2);
    std::memcpy(values.data(), tensor.bytes().data(), tensor.bytes().size());
    return values;
  };
  const auto brain = fold_batch_norms(model(DType::BFloat16, 0x3f80, 0x3fc0), folds);
  CHECK(brain->tensors()[0].dtype == DType::BFloat16);
  CHECK(brain->tensors()[1].dtype == DType::BFloat16);
  // 1 + 2^-8 is halfway: even, 1; 1.5 + 1.5 * 2^-8 is above halfway; the bias 1 + 3 * 2^-8 is halfway: even, 1 + 2^-6.
  CHECK(words(*brain, "a.weight") == std::vector<std::uint16_t>{0x3f80, 0x3fc1});
  CHECK(words(*brain, "a.bias") == std::vector<std::uint16_t>{0x3f82});
  const auto half = fold_batch_norms(model(DType::Float16, 0x3c00, 0x3e00), folds);
  CHECK(half->tensors()[0].dtype == DType::Float16);
  CHECK(words(*half, "a.weight") == std::vector<std::uint16_t>{0x3c04, 0x3e06});
  CHECK(words(*half, "a.bias") == std::vector<std::uint16_t>{0x3c0c});
  // 65504 times the factor is no float16.
  const auto large = fold_batch_norms(model(DType::Float16, 0x7bff, 0), folds);
  const auto error = test::error_of([&] { large->read(0); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Numeric);
  CHECK(error->details().tensor == "a.weight");
}

TEST_CASE("fold: a network of 16 bits becomes the folded one of 32, rounded once") {
  const auto folder = test::data_dir() / "cnn";
  auto original = open_checkpoint(folder / "cnn.pt");
  auto narrow = std::make_unique<test::MemoryCheckpoint>();
  auto rounded = std::make_unique<test::MemoryCheckpoint>();
  for (std::size_t i = 0; i < original->tensors().size(); ++i) {
    const TensorInfo& tensor = original->tensors()[i];
    if (tensor.dtype != DType::Float32) continue;
    const std::vector<float> values = values_of(*original, tensor.name);
    // Of the weights only what bfloat16 has, so that both networks have the same.
    std::vector<float> cut = values;
    std::vector<std::uint16_t> words;
    for (float& value : cut) {
      auto bits = std::bit_cast<std::uint32_t>(value);
      words.push_back(static_cast<std::uint16_t>(bits >> 16));
      value = std::bit_cast<float>(bits & 0xffff0000u);
    }
    const bool layer = tensor.name.starts_with("conv");
    rounded->add<float>(tensor.name, DType::Float32, tensor.shape, layer ? cut : values);
    if (layer) {
      narrow->add(tensor.name, DType::BFloat16, tensor.shape, words);
    } else {
      narrow->add<float>(tensor.name, DType::Float32, tensor.shape, values);
    }
  }
  const std::vector<BatchNormFold> folds = {{"conv1", "bn1", kEps}, {"conv2", "bn2", kEps}};
  const auto exact = fold_batch_norms(std::move(rounded), folds), made = fold_batch_norms(std::move(narrow), folds);
  for (const char* name : {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}) {
    CAPTURE(name);
    const std::vector<float> expected = values_of(*exact, name);
    const Tensor stored = made->read(made->find(name).value());
    REQUIRE(stored.dtype() == DType::BFloat16);
    std::vector<std::uint16_t> words(expected.size()), right;
    std::memcpy(words.data(), stored.bytes().data(), stored.bytes().size());
    for (const float value : expected) {
      const auto bits = std::bit_cast<std::uint32_t>(value);
      right.push_back(static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
    }
    CHECK(words == right);
  }
}

TEST_CASE("fold: what is not known or does not fit is refused by name") {
  CHECK(says(refusal(small_model(), {{"conv", "bn", 0}}), "eps"));
  CHECK(says(refusal(small_model(), {{"conv", "bn", -1}}), "eps"));
  CHECK(says(refusal(small_model(), {{"conv", "bn", std::numeric_limits<double>::infinity()}}), "eps"));
  CHECK(says(refusal(small_model(), {{"nothing", "bn", kEps}}), "nothing.weight"));
  CHECK(says(refusal(small_model(), {{"conv", "nothing", kEps}}), "nothing.running_mean"));
  CHECK(says(refusal(small_model(), {{"fc", "bn", kEps}}), "does not fit the layer's channels"));
  CHECK(says(refusal(small_model(), {{"conv", "bn", kEps}, {"conv", "bn", kEps}}), "two folds"));
  auto bytes = small_model();
  bytes->infos()[0].dtype = DType::Float8E4M3FN;
  CHECK(says(refusal(std::move(bytes), {{"conv", "bn", kEps}}), "float32, float16 or bfloat16"));
  auto tied = small_model();
  tied->infos()[0].storage = tied->infos()[6].storage = 1;
  CHECK(says(refusal(std::move(tied), {{"conv", "bn", kEps}}), "shares its bytes"));
  auto negative = std::make_unique<test::MemoryCheckpoint>();
  add_floats(*negative, "conv.weight", {2, 3, 1});
  add_floats(*negative, "bn.running_mean", {2});
  add_floats(*negative, "bn.running_var", {2}, -1);
  const std::vector<BatchNormFold> folds = {{"conv", "bn", kEps}};
  CHECK(test::code_of([&] { fold_batch_norms(std::move(negative), folds); }) == ErrorCode::Numeric);
}

TEST_CASE("fold: names decide only where the shapes leave no other layer") {
  test::MemoryCheckpoint model;
  add_floats(model, "features.0.weight", {4, 3, 3, 3});
  add_floats(model, "features.1.running_mean", {4});
  CHECK(find_batch_norm_folds(model, kEps) == std::vector<BatchNormFold>{{"features.0", "features.1", kEps}});
  // As many inputs as outputs: the normalization may come before the convolution.
  add_floats(model, "block.conv2.weight", {4, 4, 3, 3});
  add_floats(model, "block.bn2.running_mean", {4});
  add_floats(model, "alone.running_mean", {4});
  const std::string message = test::message_of([&] { find_batch_norm_folds(model, kEps); });
  CHECK(says(message, "block.bn2, alone"));
  CHECK(!says(message, "features.1"));
  const std::vector<BatchNormFold> known = {{"block.conv2", "block.bn2", kEps}, {"x", "alone", kEps}};
  CHECK(find_batch_norm_folds(model, kEps, known).size() == 1);
}
