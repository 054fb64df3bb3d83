#include <doctest/doctest.h>

#include <sys/stat.h>

#include <string>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using test::code_of;
using test::message_of;
using test::sample;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

void write_weights(const fs::path& path, const std::string& tensor) {
  test::write_checkpoint(path, "safetensors", {sample(tensor, DType::UInt8, {3})});
}

std::string index_of(std::string_view weight_map) {
  return R"({"metadata":{"total_size":6},"weight_map":)" + std::string(weight_map) + "}";
}

// A directory of two shards with one tensor each, a in the first, b in the second.
void write_model(const fs::path& folder) {
  fs::create_directories(folder);
  write_weights(folder / kFirst, "a");
  write_weights(folder / kSecond, "b");
  test::write_file(folder / "model.safetensors.index.json",
                   index_of(R"({"b":"model-00002-of-00002.safetensors","a":"model-00001-of-00002.safetensors"})"));
}

std::vector<std::string> names_of(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : checkpoint.tensors()) names.push_back(tensor.name);
  return names;
}

std::vector<std::string> left_out_of(const Checkpoint& checkpoint) {
  std::vector<std::string> what;
  for (const LeftOut& part : checkpoint.left_out()) what.push_back(part.what);
  return what;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("hf directory: the shards of an index are one checkpoint, by directory or by index") {
  const test::TempDir dir;
  write_model(dir / "m");
  for (const fs::path& path : {dir / "m", dir / "m/model.safetensors.index.json"}) {
    const auto checkpoint = open_checkpoint(path);
    CHECK(checkpoint->format() == "hf_safetensors");
    CHECK(names_of(*checkpoint) == Names{"a", "b"});
    CHECK(checkpoint->tensors()[1].file == kSecond);
    CHECK(test::bytes_of_tensor(*checkpoint, 1) == sample("b", DType::UInt8, {3}).bytes);
    CHECK(checkpoint->files() ==
          std::vector{dir / "m/model.safetensors.index.json", dir / "m" / kFirst, dir / "m" / kSecond});
    CHECK(checkpoint->left_out().empty());
  }
}

TEST_CASE("hf directory: a single file comes before an index, and safetensors before PyTorch") {
  const test::TempDir dir;
  write_model(dir.path());
  test::write_file(dir / "pytorch_model.bin", "x");
  write_weights(dir / "model.safetensors", "single");
  const auto checkpoint = open_checkpoint(dir.path());
  CHECK(names_of(*checkpoint) == Names{"single"});
  CHECK(checkpoint->tensors()[0].file.empty());
  CHECK(checkpoint->left_out().size() == 4);
  fs::remove(dir / "model.safetensors");
  CHECK(names_of(*open_checkpoint(dir.path())) == Names{"a", "b"});
}

TEST_CASE("hf directory: pytorch_model.bin is opened by what it is") {
  const test::TempDir dir;
  write_weights(dir / "pytorch_model.bin", "w");
  CHECK(open_checkpoint(dir.path())->format() == "hf_torch");
  test::write_file(dir / "pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\n");
  CHECK(message_of([&] { open_checkpoint(dir.path()); }).find("Git LFS pointer") != std::string::npos);
}

TEST_CASE("hf directory: an index of .bin shards is followed, and its shards do not share storages") {
  const test::TempDir dir;
  write_weights(dir / "pytorch_model-00001-of-00001.bin", "w");
  test::write_file(dir / "pytorch_model.bin.index.json", index_of(R"({"w":"pytorch_model-00001-of-00001.bin"})"));
  const auto checkpoint = open_checkpoint(dir.path());
  CHECK(checkpoint->format() == "hf_torch");
  CHECK(checkpoint->tensors()[0].file == "pytorch_model-00001-of-00001.bin");
  CHECK(open_checkpoint(dir / "pytorch_model.bin.index.json")->format() == "hf_torch");
}

TEST_CASE("hf directory: without the usual names, the only file or index there is, is taken") {
  const test::TempDir dir;
  fs::create_directory(dir / "variant");
  write_weights(dir / "variant/model.fp16.safetensors", "w");
  test::write_file(dir / "variant/training_args.bin", "x");
  CHECK(names_of(*open_checkpoint(dir / "variant")) == Names{"w"});
  write_model(dir / "index");
  fs::rename(dir / "index/model.safetensors.index.json", dir / "index/model.fp16.safetensors.index.json");
  CHECK(names_of(*open_checkpoint(dir / "index")) == Names{"a", "b"});
}

TEST_CASE("hf directory: several candidates, or none, are refused with the list of files") {
  const test::TempDir dir;
  fs::create_directory(dir / "m");
  CHECK(message_of([&] { open_checkpoint(dir / "m"); }).find("found no files") != std::string::npos);
  test::write_file(dir / "m/config.json", "{}");
  test::write_file(dir / "m/model.gguf", "GGUF");
  CHECK(message_of([&] { open_checkpoint(dir / "m"); }).find("found config.json, model.gguf") != std::string::npos);
  write_weights(dir / "m/model.fp16.safetensors", "w");
  write_weights(dir / "m/model.fp8.safetensors", "w");
  CHECK(code_of([&] { open_checkpoint(dir / "m"); }) == ErrorCode::Unsupported);
  CHECK(message_of([&] { open_checkpoint(dir / "m"); }).find("model.fp16.safetensors, model.fp8.safetensors") !=
        std::string::npos);
}

TEST_CASE("hf directory: a missing shard is named, a broken one too") {
  const test::TempDir dir;
  write_model(dir.path());
  fs::remove(dir / kSecond);
  const auto error = test::error_of([&] { open_checkpoint(dir.path()); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Corrupt);
  CHECK(std::string(error->what()).find(kSecond) != std::string::npos);
  fs::create_symlink("../blobs/gone", dir / kSecond);
  CHECK(message_of([&] { open_checkpoint(dir.path()); }).find(kSecond) != std::string::npos);
  fs::remove(dir / kSecond);
  test::write_file(dir / kSecond, "<html>");
  const std::string message = message_of([&] { open_checkpoint(dir.path()); });
  CHECK(message.find(kSecond) != std::string::npos);
  CHECK(message.find("an HTML page") != std::string::npos);
}

TEST_CASE("hf directory: a listed tensor that its shard lacks is an error, an unlisted one is left out and told") {
  const test::TempDir dir;
  write_model(dir.path());
  const auto with_map = [&](std::string_view map) {
    test::write_file(dir / "model.safetensors.index.json", index_of(map));
    return test::error_of([&] { open_checkpoint(dir.path()); });
  };
  const auto absent = with_map(R"({"a":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"})");
  REQUIRE(absent);
  CHECK(absent->details().tensor == "c");
  CHECK(absent->details().expected == "in " + std::string(kSecond));
  CHECK(with_map(R"({"a":"model-00002-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})"));
  write_weights(dir / "third.safetensors", "b");
  test::write_checkpoint(dir / "both.safetensors", "safetensors",
                         {sample("b", DType::UInt8, {3}), sample("d", DType::UInt8, {2})});
  REQUIRE_FALSE(with_map(R"({"b":"third.safetensors","d":"both.safetensors"})"));
  const auto checkpoint = open_checkpoint(dir.path());
  CHECK(names_of(*checkpoint) == Names{"d", "b"});
  REQUIRE(checkpoint->left_out().size() == 3);
  CHECK(checkpoint->left_out()[0] ==
        LeftOut{.what = "both.safetensors: tensors that the index does not list", .tensors = 1, .size_bytes = 3});
}

TEST_CASE("hf directory: an index that names files outside its folder or no files at all is refused") {
  const test::TempDir dir;
  write_model(dir.path());
  const fs::path index = dir / "model.safetensors.index.json";
  for (const char* shard : {"../x.safetensors", "/x.safetensors", "a/b.safetensors", "..", "", "C:x.safetensors",
                            "a\\\\b.safetensors", "x.json", "x.safetensors\\u0000"}) {
    CAPTURE(shard);
    test::write_file(index, index_of("{\"a\":\"" + std::string(shard) + "\"}"));
    CHECK(code_of([&] { open_checkpoint(dir.path()); }) == ErrorCode::Corrupt);
    CHECK(code_of([&] { open_checkpoint(index); }) == ErrorCode::Corrupt);
  }
  for (const std::string& text :
       {std::string("{}"), index_of("[]"), index_of("{}"), index_of("{\"a\":1}"), index_of("{\"a\":null}"),
        index_of("{\"a\":\"a.safetensors\",\"a\":\"a.safetensors\"}"),
        index_of("{\"a\":\"a.safetensors\",\"b\":\"b.bin\"}"), std::string("{\"weight_map\""), std::string("[]")}) {
    CAPTURE(text);
    test::write_file(index, text);
    CHECK(code_of([&] { open_checkpoint(dir.path()); }) == ErrorCode::Corrupt);
  }
}

TEST_CASE("hf directory: an index that is its own shard is refused") {
  const test::TempDir dir;
  test::write_file(dir / "x.safetensors", index_of(R"({"a":"x.safetensors"})"));
  CHECK(test::error_of([&] { open_checkpoint(dir / "x.safetensors"); }));
  CHECK(test::error_of([&] { open_checkpoint(dir.path()); }));
}

TEST_CASE("hf directory: an index cut at any length is an error or complete") {
  const test::TempDir dir;
  write_model(dir.path());
  const fs::path index = dir / "model.safetensors.index.json";
  const std::string whole = test::read_file(index);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_file(index, std::string_view(whole).substr(0, length));
    CHECK(test::error_of([&] { open_checkpoint(dir.path()); }));
    CHECK(test::error_of([&] { open_checkpoint(index); }));
  }
}

TEST_CASE("hf directory: all other files are assets, links are followed, weights and hidden files are left out") {
  const test::TempDir dir;
  const fs::path model = dir / "m";
  write_model(model);
  test::write_file(dir / "blob", "tokens");
  fs::create_symlink("../blob", model / "tokenizer.json");
  fs::create_symlink("../gone", model / "vocab.txt");
  fs::create_directories(model / "sub/deep");
  fs::create_directories(model / ".git");
  fs::create_directory_symlink("..", model / "loop");
  test::write_file(model / "sub/deep/a.json", "{}");
  test::write_file(model / "sub/old.bin", "xx");
  test::write_file(model / ".git/config", "x");
  test::write_file(model / ".gitattributes", "x");
  test::write_file(model / "config.json", "{}");
  test::write_file(model / "tf_model.h5", "xxx");
  test::write_file(model / "pytorch_model.bin.index.json", "{}");
  REQUIRE(::mkfifo((model / "pipe").c_str(), 0666) == 0);
  const auto checkpoint = open_checkpoint(model);
  const std::vector<Asset> assets(checkpoint->assets().begin(), checkpoint->assets().end());
  CHECK(assets == std::vector<Asset>{{"config.json", model / "config.json", 2},
                                     {"sub/deep/a.json", model / "sub/deep/a.json", 2},
                                     {"tokenizer.json", model / "tokenizer.json", 6}});
  CHECK(left_out_of(*checkpoint) ==
        Names{".git (hidden folder)", ".gitattributes (hidden file)", "loop (link to a folder)",
              "pipe (not a regular file)", "pytorch_model.bin.index.json (weights that are not part of the model)",
              "sub/old.bin (weights that are not part of the model)",
              "tf_model.h5 (weights that are not part of the model)", "vocab.txt (a link that leads nowhere)"});
}

TEST_CASE("hf directory: metadata of the shards is merged, and a difference is told") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "a.safetensors", "safetensors", {sample("a", DType::UInt8, {1})},
                         {{"format", std::string("pt")}, {"v", std::string("1")}});
  test::write_checkpoint(dir / "b.safetensors", "safetensors", {sample("b", DType::UInt8, {1})},
                         {{"format", std::string("pt")}, {"v", std::string("2")}, {"w", std::string("3")}});
  test::write_file(dir / "model.safetensors.index.json", index_of(R"({"a":"a.safetensors","b":"b.safetensors"})"));
  const auto checkpoint = open_checkpoint(dir.path());
  CHECK(checkpoint->metadata() ==
        Metadata{{"format", std::string("pt")}, {"v", std::string("1")}, {"w", std::string("3")}});
  CHECK(left_out_of(*checkpoint) == Names{"b.safetensors: metadata v, which differs from that of an earlier shard"});
}

TEST_CASE("hf directory: a model as Hugging Face saves it is read, and written again with the same tensors and index") {
  const auto model = test::fixture("lm/model");
  if (!model) return;
  const auto checkpoint = open_checkpoint(*model);
  CHECK(checkpoint->tensors().size() == 56);
  CHECK(checkpoint->assets().size() == 4);
  CHECK(checkpoint->left_out().empty());
  const test::TempDir dir;
  const std::vector<test::NamedBytes> tensors = test::read_checkpoint(*checkpoint);
  test::write_checkpoint(dir / "copy", "hf_safetensors", tensors, checkpoint->metadata());
  CHECK(test::read_checkpoint(*open_checkpoint(dir / "copy")) == tensors);
  for (const char* shard : {"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"}) {
    CHECK(test::read_file(dir / "copy" / shard) == test::read_file(*model / shard));
  }
}
