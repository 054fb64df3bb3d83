#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"

using namespace mq;
using test::sample;
namespace fs = std::filesystem;

namespace {

// A checkpoint of these names, opened with options.
std::vector<std::string> names_after(const std::vector<std::string>& names, const OpenOptions& options) {
  const test::TempDir dir;
  std::vector<test::NamedBytes> tensors;
  for (const std::string& name : names) tensors.push_back(sample(name, DType::Float32, {2, 3}));
  test::write_checkpoint(dir / "m.safetensors", "safetensors", tensors);
  const auto plain = open_checkpoint(dir / "m.safetensors");
  const auto checkpoint = open_checkpoint(dir / "m.safetensors", options);
  std::vector<std::string> found;
  for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) {
    found.push_back(checkpoint->tensors()[i].name);
    CHECK(checkpoint->find(found.back()) == i);
    CHECK(test::bytes_of_tensor(*checkpoint, i) == test::bytes_of_tensor(*plain, i));
  }
  CHECK(checkpoint->format() == plain->format());
  CHECK(checkpoint->files() == plain->files());
  CHECK(checkpoint->metadata() == plain->metadata());
  return found;
}

using Names = std::vector<std::string>;

std::string refusal(const Names& names, const OpenOptions& options) {
  const auto error = test::error_of([&] { names_after(names, options); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Usage);
  CHECK(error->details().file.ends_with("m.safetensors"));
  return error->what();
}

void check_says(const std::string& text, std::initializer_list<const char*> parts) {
  CAPTURE(text);
  for (const char* part : parts) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("renaming: prefixes are stripped, then names replaced, each by the first that fits; bytes stay") {
  const Names names = {"lm.a.weight", "module.b", "module.lm.c"};
  CHECK(names_after(names, {.strip_prefixes = {"module."}}) == Names{"lm.a.weight", "b", "lm.c"});
  CHECK(names_after(names, {.strip_prefixes = {"module.lm.", "module."}}) == Names{"lm.a.weight", "b", "c"});
  CHECK(names_after(names, {.renames = {{"module.b", "x"}, {"lm.", ""}}}) == Names{"a.weight", "x", "module.lm.c"});
  CHECK(names_after(names, {.strip_prefixes = {"module."}, .renames = {{"lm.", "m."}, {"b", "m.b"}}}) ==
        Names{"m.a.weight", "m.b", "m.c"});
  CHECK(names_after({"a", "b"}, {.renames = {{"a", "b"}, {"b", "a"}}}) == Names{"b", "a"});
  CHECK(names_after({"a", "ab"}, {.renames = {{"a", "c"}}}) == Names{"c", "ab"});
}

TEST_CASE("renaming: what fits no name is refused with what there is") {
  check_says(refusal({"module.a", "module.b"}, {.strip_prefixes = {"modul."}}),
             {"no name begins so", "modul.", "module.", "did you mean 'module.'?"});
  check_says(refusal({"fc1.weight", "fc1.bias"}, {.renames = {{"fc1.wieght", "x"}}}),
             {"no such tensor", "fc1.wieght", "did you mean 'fc1.weight'?"});
  check_says(refusal({"a.b"}, {.renames = {{"c.", "x."}}}), {"no name begins so", "one of a."});
  // Renames see what is left of a name.
  check_says(refusal({"m.a"}, {.strip_prefixes = {"m."}, .renames = {{"m.a", "x"}}}), {"no such tensor", "one of a"});
  check_says(refusal({"m.n.a"}, {.strip_prefixes = {"m.", "m.n."}}), {"never used", "m.n."});
  check_says(refusal({"m.a"}, {.renames = {{"m.", "x."}, {"m.a", "y"}}}), {"never used", "m.a"});
}

TEST_CASE("renaming: two tensors of one name, and one without a name, are refused with the originals") {
  check_says(refusal({"a.w", "b.w"}, {.renames = {{"a.", "b."}}}),
             {"two tensors would have this name", "tensor b.w", "a.w and b.w"});
  check_says(refusal({"m.w", "w"}, {.strip_prefixes = {"m."}}), {"m.w and w"});
  check_says(refusal({"m.", "w"}, {.strip_prefixes = {"m."}}), {"the new name is empty", "tensor m."});
  check_says(refusal({"w"}, {.renames = {{"w", ""}}}), {"the new name is empty"});
}

TEST_CASE("renaming: shards, ties and layers of PyTorch files stay what they are") {
  const fs::path file = test::data_dir() / "pt" / "state_dict.pt";
  const auto plain = open_checkpoint(file);
  const std::string first = plain->tensors()[0].name;
  const auto checkpoint = open_checkpoint(file, {.renames = {{first, "renamed"}}});
  for (std::size_t i = 0; i < plain->tensors().size(); ++i) {
    TensorInfo expected = plain->tensors()[i];
    if (i == 0) expected.name = "renamed";
    CHECK(checkpoint->tensors()[i] == expected);
  }
}

TEST_CASE("renaming: a folder is renamed as a whole, whatever shard a tensor is in") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "model", "hf_safetensors",
                         {sample("m.a", DType::Float32, {4}, "model-00001-of-00002.safetensors"),
                          sample("m.b", DType::Float32, {4}, "model-00002-of-00002.safetensors")});
  const auto checkpoint = open_checkpoint(dir / "model", {.strip_prefixes = {"m."}});
  REQUIRE(checkpoint->tensors().size() == 2);
  CHECK(checkpoint->find("a"));
  CHECK(checkpoint->tensors()[*checkpoint->find("b")].file == "model-00002-of-00002.safetensors");
}
