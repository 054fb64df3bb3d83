#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/paths.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using test::PickleBuilder;

namespace {

// Opens and reads a file that may be damaged: true if that succeeds, false if it is refused. Anything else fails.
bool survives(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::remove(path);  // some file systems flush a file that is truncated and written again
  test::write_file(path, bytes);
  try {
    const auto checkpoint = open_checkpoint(path);
    for (std::size_t i = 0; i < checkpoint->tensors().size(); ++i) {
      if (checkpoint->tensors()[i].size_bytes() < 1 << 20) checkpoint->read(i);
    }
    return true;
  } catch (const Error& error) {
    CHECK(error.code() != ErrorCode::Internal);
    return false;
  }
}

// A checkpoint of every kind of record and value, whose pickle has no checksum: damage reaches the pickle machine.
std::string base_file() {
  PickleBuilder p;
  p.proto().empty_dict().text("epoch").integer(3).setitem().text("model").ordered_dict().put(1);
  p.text("w").tensor({.numel = 6}, 0, {3, 2}, {1, 3}).setitem().text("b").vector("1", 2).setitem();
  p.text("v").global("torch._utils", "_rebuild_tensor_v3").mark().storage({"UntypedStorage", "2", 8}).integer(0);
  p.integers({4}).integers({1}).boolean(false).ordered_dict().global("torch", "uint16").tuple().reduce().setitem();
  p.setitem().text("args").global("argparse", "Namespace").empty_tuple().newobj().empty_dict().text("lr");
  p.raw("G?\xb9\x99\x99\x99\x99\x99\x9a").setitem().build().setitem();
  test::ZipBuilder zip;
  const auto descriptor = test::ZipTweaks::Descriptor::Signed32;
  zip.add("m/data.pkl", p.bytes() + ".", {.descriptor = descriptor, .padding = "ZZZ", .crc = 0});
  zip.add("m/byteorder", "little").add("m/data/0", test::float_bytes(6), {.zip64 = true});
  zip.add("m/data/1", test::float_bytes(2)).add("m/data/2", test::float_bytes(2)).add("m/version", "3\n");
  return zip.finish({.zip64 = true});
}

std::string fixture_bytes() {
  return test::read_file(test::data_dir() / "pt/single_tensor.pt");
}

}  // namespace

TEST_CASE("sweep: a checkpoint cut at any length is refused") {
  const test::TempDir dir;
  for (const std::string& whole : {base_file(), fixture_bytes()}) {
    REQUIRE(survives(dir / "t.pt", whole));
    for (std::size_t length = 0; length < whole.size(); ++length) {
      CAPTURE(length);
      CHECK_FALSE(survives(dir / "t.pt", whole.substr(0, length)));
    }
  }
}

TEST_CASE("sweep: a checkpoint with any one bit flipped is read or refused") {
  const test::TempDir dir;
  for (const std::string& whole : {base_file(), fixture_bytes()}) {
    std::size_t read = 0;
    std::string damaged = whole;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        damaged[i] = static_cast<char>(whole[i] ^ 1 << bit);
        read += survives(dir / "t.pt", damaged);
      }
      damaged[i] = whole[i];
    }
    MESSAGE(read << " of " << whole.size() * 8 << " damaged files were read");
    CHECK(read < whole.size() * 8 / 2);
  }
}

TEST_CASE("sweep: a checkpoint with any byte set to 0, 127, 128 or 255, or removed, is read or refused") {
  const test::TempDir dir;
  const std::string whole = base_file();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(value);
      survives(dir / "t.pt", damaged);
    }
    std::string shorter = whole;
    survives(dir / "t.pt", shorter.erase(i, 1));
  }
}

TEST_CASE("sweep: a flipped bit of a tensor's bytes is found by the checksum, whole or in pieces, and strided too") {
  const test::TempDir dir;
  const std::string whole = base_file();
  for (const std::string& storage : {test::float_bytes(6), test::float_bytes(2)}) {
    const std::size_t at = whole.find("m/data/" + std::string(storage.size() == 24 ? "0" : "1"));
    const std::size_t data = whole.find(storage, at);
    for (std::size_t i = 0; i < storage.size(); ++i) {
      std::string damaged = whole;
      damaged[data + i] = static_cast<char>(damaged[data + i] ^ 4);
      const auto checkpoint = open_checkpoint(test::write_file(dir / "t.pt", damaged));
      const auto error = test::error_of([&] {
        for (std::size_t t = 0; t < checkpoint->tensors().size(); ++t) {
          std::vector<std::byte> element(checkpoint->tensors()[t].dtype == DType::UInt16 ? 2 : 4);
          for (std::int64_t e = 0; e < checkpoint->tensors()[t].numel(); ++e) checkpoint->read(t, e, 1, element);
        }
      });
      REQUIRE(error);
      CHECK(error->code() == ErrorCode::Corrupt);
      CHECK(error->details().message == "checksum of the record");
      CHECK_FALSE(error->details().expected.empty());
    }
  }
}
