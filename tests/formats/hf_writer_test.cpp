#include <doctest/doctest.h>

#include <string>

#include "mq/checkpoint.hpp"
#include "src/json.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::code_of;
using test::sample;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

std::vector<test::NamedBytes> sharded() {
  return {sample("z", DType::Float32, {8}, kFirst), sample("m", DType::UInt8, {3}, kFirst),
          sample("a", DType::Float16, {5}, kSecond)};
}

std::optional<ErrorCode> code_of_begin(const fs::path& path, const Layout& layout) {
  return code_of([&] { create_checkpoint(path, "hf_safetensors")->begin(layout); });
}

}  // namespace

TEST_CASE("hf_safetensors: shards are written with their index and read back as one checkpoint") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "out", "hf_safetensors", sharded(), {{"k", std::string("v")}});
  CHECK(test::names_in(dir / "out") == std::vector<std::string>{kFirst, kSecond, "model.safetensors.index.json"});
  CHECK(test::read_file(dir / "out/model.safetensors.index.json") ==
        "{\n  \"metadata\": {\n    \"total_size\": 45\n  },\n  \"weight_map\": {\n"
        "    \"a\": \"model-00002-of-00002.safetensors\",\n"
        "    \"m\": \"model-00001-of-00002.safetensors\",\n"
        "    \"z\": \"model-00001-of-00002.safetensors\"\n  }\n}\n");
  const auto checkpoint = open_checkpoint(dir / "out");
  CHECK(checkpoint->metadata() == Metadata{{"format", std::string("pt")}, {"k", std::string("v")}});
  CHECK(checkpoint->left_out().empty());
  auto expected = sharded();
  std::ranges::sort(expected, {}, [](const auto& entry) { return entry.tensor.name; });
  CHECK(test::read_checkpoint(*checkpoint) == expected);
  for (const char* shard : {kFirst, kSecond}) {
    CHECK(*find_string(open_checkpoint(dir / "out" / shard)->metadata(), "format") == "pt");
  }
}

TEST_CASE("hf_safetensors: a single shard is called model.safetensors, whatever its name was, and has no index") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "named", "hf_safetensors",
                         {sample("w", DType::UInt8, {3}, "model-00001-of-00001.safetensors")});
  test::write_checkpoint(dir / "plain", "hf_safetensors", {sample("w", DType::UInt8, {3})});
  test::write_checkpoint(dir / "none", "hf_safetensors", {});
  for (const char* name : {"named", "plain", "none"}) {
    CHECK(test::names_in(dir / name) == std::vector<std::string>{"model.safetensors"});
    CHECK(open_checkpoint(dir / name)->format() == "hf_safetensors");
  }
}

TEST_CASE("hf_safetensors: files and texts stand beside the weights, in sub-folders too") {
  const test::TempDir dir;
  test::write_file(dir / "tokenizer", "tokens");
  Layout layout = test::layout_of({sample("w", DType::UInt8, {3})});
  layout.copies = {{.name = "tokenizer.json", .path = dir / "tokenizer", .size_bytes = 6},
                   {.name = "deep/er/tokenizer.json", .path = dir / "tokenizer", .size_bytes = 6}};
  layout.texts = {{"config.json", "{}"}};
  const auto writer = create_checkpoint(dir / "out", "hf_safetensors");
  writer->begin(layout);
  test::write_all(*writer, {sample("w", DType::UInt8, {3})});
  writer->add_text("report.json", "[]");
  writer->finish();
  std::int64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "out")) {
    if (entry.is_regular_file()) total += static_cast<std::int64_t>(entry.file_size());
  }
  CHECK(writer->size_bytes() == total);
  const auto checkpoint = open_checkpoint(dir / "out");
  std::vector<std::string> names;
  for (const Asset& asset : checkpoint->assets()) names.push_back(asset.name);
  CHECK(names == std::vector<std::string>{"config.json", "deep/er/tokenizer.json", "report.json", "tokenizer.json"});
  CHECK(test::read_file(dir / "out/deep/er/tokenizer.json") == "tokens");
  CHECK(test::read_file(dir / "out/report.json") == "[]");
}

TEST_CASE("hf_safetensors: names that leave the directory, collide or are no shard's are refused") {
  const test::TempDir dir;
  test::write_file(dir / "asset", "x");
  const auto copy = [&](std::string name) {
    Layout layout = test::layout_of({sample("w", DType::UInt8, {3})});
    layout.copies = {{.name = std::move(name), .path = dir / "asset", .size_bytes = 1}};
    return layout;
  };
  for (const char* name : {"../x", "/x", "a/../../x", "a//b", "", ".", "a\\b", "C:x", "model.safetensors"}) {
    CAPTURE(name);
    CHECK(code_of_begin(dir / "out", copy(name)) == ErrorCode::Usage);
  }
  for (const char* shard : {"../a.safetensors", "sub/a.safetensors", "a.bin", ""}) {
    CAPTURE(shard);
    CHECK(code_of_begin(dir / "out", test::layout_of({sample("v", DType::UInt8, {1}, kFirst),
                                                      sample("w", DType::UInt8, {1}, shard)})) == ErrorCode::Usage);
  }
  CHECK(code_of_begin(dir / "out", test::layout_of({sample("w", DType::UInt8, {1}, kFirst),
                                                    sample("w", DType::UInt8, {1}, kSecond)})) == ErrorCode::Usage);
  Layout gone = copy("x");
  gone.copies[0].path = dir / "absent";
  CHECK(code_of_begin(dir / "out", gone) == ErrorCode::Io);
  Layout grown = copy("x");
  grown.copies[0].size_bytes = 2;
  CHECK(code_of_begin(dir / "out", grown) == ErrorCode::Io);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"asset"});
}

TEST_CASE("hf_safetensors: a directory is replaced whole, only when asked, and only if it is a model or empty") {
  const test::TempDir dir;
  const auto write = [&](bool overwrite) {
    test::write_checkpoint(dir / "out", "hf_safetensors", sharded(), {}, {.overwrite = overwrite});
  };
  fs::create_directory(dir / "out");
  write(false);
  test::write_file(dir / "out/old.json", "{}");
  CHECK(code_of([&] { write(false); }) == ErrorCode::Io);
  write(true);
  CHECK_FALSE(fs::exists(dir / "out/old.json"));
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"out"});

  fs::remove_all(dir / "out");
  fs::create_directory(dir / "out");
  test::write_file(dir / "out/thesis.tex", "precious");
  CHECK(code_of([&] { write(true); }) == ErrorCode::Io);
  CHECK(test::names_in(dir / "out") == std::vector<std::string>{"thesis.tex"});
  test::write_file(dir / "file", "x");
  CHECK(code_of([&] { test::write_checkpoint(dir / "file", "hf_safetensors", sharded(), {}, {.overwrite = true}); }) ==
        ErrorCode::Io);
}

TEST_CASE("writers: steps out of order are refused, and nothing is left behind") {
  const test::TempDir dir;
  for (const char* format : {"safetensors", "hf_safetensors"}) {
    CAPTURE(std::string(format));
    const auto writer = create_checkpoint(dir / "out", format);
    CHECK(code_of([&] { writer->finish(); }) == ErrorCode::Usage);
    writer->begin(test::layout_of(sharded()));
    CHECK(code_of([&] { writer->begin(test::layout_of(sharded())); }) == ErrorCode::Usage);
  }
  const auto writer = create_checkpoint(dir / "out", "hf_safetensors");
  CHECK(code_of([&] { writer->add_text("a", "b"); }) == ErrorCode::Usage);
  CHECK(test::names_in(dir.path()).empty());
}

TEST_CASE("hf_safetensors: an unfinished writer leaves the old directory and no other") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "out", "hf_safetensors", {sample("old", DType::UInt8, {3})});
  {
    const auto writer = create_checkpoint(dir / "out", "hf_safetensors", {.overwrite = true});
    writer->begin(test::layout_of(sharded()));
    CHECK(code_of([&] { writer->finish(); }) == ErrorCode::Usage);
  }
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"out"});
  CHECK(open_checkpoint(dir / "out")->tensors()[0].name == "old");
}

TEST_CASE("hf_safetensors: a path with a slash at its end, and a link to a directory, lead to the directory") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "out/", "hf_safetensors", sharded());
  fs::create_directory_symlink("out", dir / "link");
  test::write_checkpoint(dir / "link", "hf_safetensors", {sample("w", DType::UInt8, {3})}, {}, {.overwrite = true});
  CHECK(fs::is_symlink(dir / "link"));
  CHECK(open_checkpoint(dir / "out")->tensors().size() == 1);
}
