// Archives of torch.save with records that contradict each other, and names that would harm a terminal or a folder.
#include <string>

#include "tests/attacks/attack.hpp"

namespace mq::attacks {
namespace {

using namespace std::string_view_literals;
using test::PickleBuilder;
using test::TorchFile;
using test::ZipBuilder;

std::string good_pickle() {
  return good_dict().bytes() + ".";
}
TorchFile good_file() {
  return {.pickle = good_pickle(), .storages = {test::float_bytes(6)}};
}

// The records of a good file, to which some are added.
ZipBuilder good_zip() {
  ZipBuilder zip;
  zip.add("m/data.pkl", good_pickle()).add("m/data/0", test::float_bytes(6)).add("m/version", "3\n");
  return zip;
}

void add_records(Attacks& attacks) {
  const auto with = [&](const char* name, std::string_view record, std::string_view content = "x") {
    attacks.add(name, good_zip().add(record, content).finish());
  };
  with("record-beside", "m/other");
  with("record-outside-the-folder", "other/x");
  with("record-above-the-folder", "../x");
  with("record-absolute", "/etc/passwd");
  with("record-path-inside", "m/../../x");
  with("record-with-nul", "m/x\0y"sv);
  with("record-not-utf-8", "m/\xff\xfe");
  with("record-with-escapes", "m/\x1b[2J\r\n");
  with("record-torchscript", "m/constants.pkl");
  with("record-exported", "m/archive_format", "pt2");
  with("record-exported-old", "serialized_exported_program.json");
  with("record-package", "m/.data/extern_modules");
  with("record-long-name", "m/" + std::string(60'000, 'n'));
  TorchFile file = good_file();
  file.storages = {};
  attacks.add_torch("storage-missing", file);
  file.storages = {test::float_bytes(5)};
  attacks.add_torch("storage-too-short", file);
  file.storages = {test::float_bytes(6) + "x"};
  attacks.add_torch("storage-one-byte-too-long", file);
  file.storages = {""};
  attacks.add_torch("storage-empty", file);
  ZipBuilder zip;
  attacks.add("no-pickle", zip.add("m/data/0", test::float_bytes(6)).add("m/version", "3\n").finish());
  attacks.add("no-folder", ZipBuilder().add("data.pkl", good_pickle()).add("version", "3\n").finish());
  attacks.add("npz", ZipBuilder().add("arr_0.npy", "\x93NUMPY").finish());
  attacks.add("other-zip", ZipBuilder().add("word/document.xml", "<x/>").finish());
  attacks.add("old-torchscript", ZipBuilder().add("m/model.json", "{}").finish());
}

void add_small_records(Attacks& attacks) {
  const auto version = [&](const char* name, std::string text) {
    TorchFile file = good_file();
    file.version = std::move(text);
    attacks.add_torch(name, file);
  };
  version("version-missing", "");
  version("version-0", "0\n");
  version("version-11", "11\n");
  version("version-negative", "-3\n");
  version("version-no-number", "three\n");
  version("version-beyond-64-bits", "99999999999999999999\n");
  version("version-long", std::string(1000, '3'));
  version("version-with-escapes", "\x1b[2J");
  const auto order = [&](const char* name, std::string text) {
    TorchFile file = good_file();
    file.byteorder = std::move(text);
    attacks.add_torch(name, file);
  };
  order("byteorder-missing", "");
  order("byteorder-big", "big");
  order("byteorder-upper-case", "Big");
  order("byteorder-middle", "middle");
  order("byteorder-long", std::string(1000, 'l'));
  attacks.add("byteorder-empty", good_zip().add("m/byteorder", "").finish());
}

void add_names(Attacks& attacks) {
  const auto name = [&](const char* attack, std::string_view text) {
    PickleBuilder p;
    attacks.add_pickle(attack, p.proto().empty_dict().text(text).vector("0", 6).setitem());
  };
  name("name-empty", "");
  name("name-path", "../../etc/passwd");
  name("name-absolute", "/etc/passwd");
  name("name-with-nul", "a\0b"sv);
  name("name-with-escapes", "\x1b[2J\x07\r\n");
  name("name-not-utf-8", "\xff\xfe");
  name("name-surrogate", "\xed\xa0\x80");
  name("name-1-mib", std::string(std::size_t{1} << 20, 'n'));
  name("name-above-1-mib", std::string((std::size_t{1} << 20) + 1, 'n'));
  name("name-metadata", "__metadata__");
  PickleBuilder twice = good_dict(), joined, of_list, mixed, number_and_text, tuple_key, list_key;
  attacks.add_pickle("name-twice", twice.text("w").vector("1", 6).setitem());
  joined.proto().empty_dict().text("a.b").vector("0", 6).setitem();
  joined.text("a").empty_dict().text("b").vector("0", 6).setitem().setitem();
  attacks.add_pickle("name-twice-when-joined", joined, {.root = "."});
  number_and_text.proto().empty_dict().integer(1).vector("0", 6).setitem().text("1").vector("1", 6).setitem();
  attacks.add_pickle("name-twice-number-and-text", number_and_text);
  list_key.proto().empty_dict().empty_list().vector("0", 6).setitem();
  attacks.add_pickle("name-of-a-list", list_key);
  tuple_key.proto().empty_dict().raw("(K\x01(K\x02tt").vector("0", 6).setitem();
  attacks.add_pickle("name-of-nested-tuples", tuple_key);
  // Not the bad name itself is in the error, but what it shows.
  PickleBuilder shown;
  shown.proto().empty_dict().text("\x1b[2J\n").vector("0", 7).setitem();
  attacks.add_pickle("name-with-escapes-in-an-error", shown);
}

void add_rot(Attacks& attacks) {
  const auto rot = [&](const char* name, std::string_view record, std::uint32_t crc) {
    ZipBuilder zip;
    const auto of = [&](std::string_view candidate) {
      return candidate == record ? test::ZipTweaks{.crc = crc} : test::ZipTweaks{};
    };
    zip.add("m/data.pkl", good_pickle(), of("m/data.pkl")).add("m/data/0", test::float_bytes(6), of("m/data/0"));
    attacks.add(name, zip.add("m/version", "3\n", of("m/version")).finish());
  };
  rot("rot-of-the-pickle", "m/data.pkl", 1);
  rot("rot-of-a-storage", "m/data/0", 1);
  rot("rot-of-the-version", "m/version", 1);
  rot("checksum-not-computed", "m/data/0", 0);
}

void add_changes(Attacks& attacks) {
  namespace fs = std::filesystem;
  const std::string bytes = test::torch_bytes(good_file());
  attacks.add_change("changed-shorter", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size / 4); });
  attacks.add_change("changed-longer", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size + 1); });
  attacks.add_change("changed-empty", bytes, [](const fs::path& path) { fs::resize_file(path, 0); });
  attacks.add_change("changed-touched", bytes, [](const fs::path& path) {
    fs::last_write_time(path, fs::file_time_type() + std::chrono::hours(1));
  });
}

void add_roots(Attacks& attacks) {
  PickleBuilder none, module, inside;
  attacks.add_pickle("no-tensors", none.proto().empty_dict().text("epoch").integer(3).setitem());
  attacks.add_torch("root-a-number", {.pickle = "K\x01.", .storages = {}});
  attacks.add_torch("root-an-object", {.pickle = "cm\nn\n)R.", .storages = {}});
  attacks.add_torch("root-a-cycle", {.pickle = "]q\x01h\x01"
                                               "a.",
                                     .storages = {}});
  module.proto().raw("c__main__\nNet\n)\x81}S'_parameters'\n}S'w'\n").vector("0", 6).raw("ssb");
  attacks.add_pickle("root-a-module", module);
  inside.proto().raw("c__main__\nNet\n)\x81}S'weights'\n").vector("0", 6).raw("sb");
  attacks.add_pickle("root-an-object-with-tensors", inside);
}

}  // namespace

std::vector<Attack> torch_attacks() {
  Attacks attacks("torch");
  add_records(attacks);
  add_small_records(attacks);
  add_names(attacks);
  add_rot(attacks);
  add_changes(attacks);
  add_roots(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
