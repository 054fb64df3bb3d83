#include <doctest/doctest.h>

#include <set>
#include <string>

#include "formats/format.hpp"
#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::sample;
namespace fs = std::filesystem;

namespace {

// Tensors that every container holds.
std::vector<test::NamedBytes> samples() {
  return {sample("a.weight", DType::Float32, {4, 6}),
          sample("b", DType::Float16, {3}),
          sample("c ü", DType::UInt8, {2, 1, 5}),
          sample("d", DType::BFloat16, {2, 2}),
          sample("e", DType::Int8, {7}),
          sample("scalar", DType::Float32, {})};
}

// In GGUF, without the type that it does not have; the last ends a block, since the padding after it may be missing.
std::vector<test::NamedBytes> held_by(const formats::Format& format) {
  std::vector<test::NamedBytes> held = samples();
  if (format.name != "gguf") return held;
  std::erase_if(held, [](const test::NamedBytes& entry) { return entry.tensor.dtype == DType::UInt8; });
  held.push_back(sample("z", DType::Float32, {8}));
  return held;
}

// Puts a checkpoint of this format at path and says what it holds, by name; nothing for formats that are not written.
std::vector<test::NamedBytes> put(const formats::Format& format, const fs::path& path) {
  if (format.create == nullptr) return {};
  const std::vector<test::NamedBytes> held = held_by(format);
  test::write_checkpoint(path, format.name, held);
  return held;
}

std::string describe(const formats::Format& format) {
  return std::string(format.name);
}

// The files of a checkpoint that hold its tensors.
std::vector<fs::path> weight_files(const fs::path& path) {
  std::set<fs::path> files;
  const auto checkpoint = open_checkpoint(path);
  for (const fs::path& file : checkpoint->files()) {
    if (file.extension() != ".json") files.insert(file);
  }
  return {files.begin(), files.end()};
}

}  // namespace

TEST_CASE("formats: names are unique and every format can be read or written") {
  std::set<std::string_view> names;
  for (const formats::Format* format : formats::all_formats()) {
    CAPTURE(describe(*format));
    CHECK(names.insert(format->name).second);
    CHECK_FALSE(format->title.empty());
    CHECK((format->matches == nullptr) == (format->open == nullptr));
    CHECK((format->open != nullptr || format->create != nullptr));
  }
}

TEST_CASE("formats: a checkpoint of a format is recognised as its own and read back equal") {
  const test::TempDir dir;
  for (const formats::Format* format : formats::all_formats()) {
    CAPTURE(describe(*format));
    const fs::path path = dir / ("out" + std::string(format->suffix));
    const std::vector<test::NamedBytes> held = put(*format, path);
    if (held.empty()) continue;
    const auto checkpoint = open_checkpoint(path);
    CHECK(checkpoint->format() == format->name);
    CHECK(checkpoint->path() == path);
    CHECK(test::read_checkpoint(*checkpoint) == held);
    fs::remove_all(path);
  }
}

TEST_CASE("formats: two runs write the same bytes") {
  const test::TempDir dir;
  for (const formats::Format* format : formats::all_formats()) {
    if (format->create == nullptr) continue;
    CAPTURE(describe(*format));
    std::vector<std::string> runs;
    for (const char* name : {"one", "two"}) {
      const fs::path path = dir / (format->name.data() + std::string(name));
      test::write_checkpoint(path, format->name, held_by(*format));
      std::string bytes;
      for (const fs::path& file : weight_files(path)) bytes += test::read_file(file);
      runs.push_back(bytes);
    }
    CHECK(runs[0] == runs[1]);
  }
}

TEST_CASE("formats: a file cut at any length is an error") {
  const test::TempDir dir;
  for (const formats::Format* format : formats::all_formats()) {
    CAPTURE(describe(*format));
    const fs::path path = dir / ("cut" + std::string(format->suffix));
    if (put(*format, path).empty()) continue;
    for (const fs::path& file : weight_files(path)) {
      const std::string whole = test::read_file(file);
      for (std::size_t length = 0; length < whole.size(); ++length) {
        CAPTURE(length);
        test::write_file(file, std::string_view(whole).substr(0, length));
        CHECK(test::error_of([&] { test::read_checkpoint(*open_checkpoint(path)); }));
      }
      test::write_file(file, whole);
    }
    fs::remove_all(path);
  }
}
