// Streams and tar archives of torch.save before its zip archives, with one thing wrong.
#include "tests/attacks/attack.hpp"
#include "tests/support/old_torch_builder.hpp"

namespace mq::attacks {
namespace {

using test::pickle_of;
using test::PickleBuilder;
using test::TarEntry;
using test::TorchStream;
using test::TorchTar;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

template <class Change>
void add_stream(Attacks& attacks, const char* name, Change&& change) {
  TorchStream stream = TorchStream::good();
  change(stream);
  attacks.add(name, stream.bytes());
}

template <class Change>
void add_tar(Attacks& attacks, const char* name, Change&& change) {
  TorchTar tar = TorchTar::good();
  change(tar);
  attacks.add(name, tar.bytes());
}

std::string numel_and(std::int64_t numel, std::string_view bytes) {
  return PickleBuilder().number(numel).raw(bytes).bytes();
}

void add_stream_headers(Attacks& attacks) {
  const std::string call = "cos\nsystem\n(S'id'\ntR";
  add_stream(attacks, "stream-sound", [](TorchStream&) {});
  add_stream(attacks, "stream-version-1002", [](TorchStream& s) { s.version = pickle_of(1002); });
  add_stream(attacks, "stream-version-a-text",
             [](TorchStream& s) { s.version = pickle_of(PickleBuilder().text("x")); });
  add_stream(attacks, "stream-version-a-call",
             [&](TorchStream& s) { s.version = pickle_of(PickleBuilder().raw(call)); });
  add_stream(attacks, "stream-version-a-list-bomb", [](TorchStream& s) {
    s.version = pickle_of(PickleBuilder().raw(std::string(100'000, ']') + std::string(99'999, 'a')));
  });
  add_stream(attacks, "stream-system-a-call", [&](TorchStream& s) { s.system = pickle_of(PickleBuilder().raw(call)); });
  add_stream(attacks, "stream-system-a-global",
             [](TorchStream& s) { s.system = pickle_of(PickleBuilder().global("os", "system")); });
  add_stream(attacks, "stream-system-a-list",
             [](TorchStream& s) { s.system = pickle_of(PickleBuilder().empty_list()); });
  add_stream(attacks, "stream-big-endian", [](TorchStream& s) {
    s.system = pickle_of(PickleBuilder().empty_dict().text("little_endian").boolean(false).setitem());
  });
  add_stream(attacks, "stream-object-a-call", [&](TorchStream& s) { s.object = pickle_of(PickleBuilder().raw(call)); });
  add_stream(attacks, "stream-object-without-stop", [](TorchStream& s) { s.object.pop_back(); });
  add_stream(attacks, "stream-keys-a-call", [&](TorchStream& s) { s.keys = pickle_of(PickleBuilder().raw(call)); });
  add_stream(attacks, "stream-keys-a-dict", [](TorchStream& s) { s.keys = pickle_of(PickleBuilder().empty_dict()); });
  add_stream(attacks, "stream-keys-a-number",
             [](TorchStream& s) { s.keys = pickle_of(PickleBuilder().empty_list().integer(77).append()); });
  add_stream(attacks, "stream-key-missing", [](TorchStream& s) { s.keys = pickle_of(PickleBuilder().empty_list()); });
  add_stream(attacks, "stream-key-unused", [](TorchStream& s) {
    s.keys = pickle_of(PickleBuilder().empty_list().text("77").append().text("78").append());
  });
  add_stream(attacks, "stream-key-twice", [](TorchStream& s) {
    s.keys = pickle_of(PickleBuilder().empty_list().text("77").append().text("77").append());
    s.storages += s.storages;
  });
  add_stream(attacks, "stream-ends-after-the-object", [](TorchStream& s) { s.keys.clear(), s.storages.clear(); });
  add_stream(attacks, "stream-ends-after-the-magic", [](TorchStream& s) {
    s.version.clear(), s.system.clear(), s.object.clear(), s.keys.clear(), s.storages.clear();
  });
}

void add_stream_storages(Attacks& attacks) {
  const std::string floats = test::float_bytes(6);
  const auto storages = [&](const char* name, std::string bytes) {
    add_stream(attacks, name, [&](TorchStream& s) { s.storages = bytes; });
  };
  storages("stream-storage-missing", "");
  storages("stream-storage-count-cut", std::string(4, '\6'));
  storages("stream-storage-count-smaller", numel_and(5, floats));
  storages("stream-storage-count-larger", numel_and(7, floats));
  storages("stream-storage-count-negative", numel_and(-6, floats));
  storages("stream-storage-count-huge", numel_and(kHuge, floats));
  storages("stream-storage-cut", numel_and(6, floats.substr(0, 23)));
  storages("stream-storage-one-byte-more", numel_and(6, floats + "x"));
  storages("stream-storage-and-a-pickle", numel_and(6, floats + "\x80\x02cos\nsystem\n."));
  const auto object = [&](const char* name, std::int64_t numel, std::string_view slice, std::int64_t stored = 6) {
    add_stream(attacks, name, [&](TorchStream& s) {
      PickleBuilder p;
      p.empty_dict().text("w");
      s.object = pickle_of(test::old_tensor(p, "77", numel, slice).setitem());
      s.storages = numel_and(stored, floats);
    });
  };
  const auto slice = [](std::int64_t first, std::int64_t numel) {
    return PickleBuilder().mark().text("s").integer(first).integer(numel).tuple().bytes();
  };
  object("stream-numel-smaller", 5, "N");
  object("stream-numel-negative", -6, "N");
  object("stream-numel-huge-and-so-is-the-count", kHuge, "N", kHuge);
  object("stream-slice-of-all", 6, slice(0, 6));
  object("stream-slice-too-small", 6, slice(1, 5));
  object("stream-slice-too-far", 6, slice(1, 6));
  object("stream-slice-negative", 6, slice(-1, 6));
  object("stream-slice-huge", 6, slice(kHuge, kHuge));
  object("stream-slice-largest", 6, slice(INT64_MAX, INT64_MAX));
  object("stream-slice-a-number", 6, "K\1");
  object("stream-slice-of-two", 6, "K\1K\2\x86");
  add_stream(attacks, "stream-storage-under-two-types", [](TorchStream& s) {
    PickleBuilder p;
    p.empty_dict().text("w");
    test::old_tensor(p, "77", 6).setitem().text("x");
    s.object = pickle_of(test::old_storage(p, "77", 6, "N", "IntStorage").setitem());
  });
  add_stream(attacks, "stream-module-source", [](TorchStream& s) {
    PickleBuilder p;
    p.empty_dict().text("w");
    test::old_tensor(p, "77", 6).setitem().text("m");
    p.raw("(S'module'\nc__main__\nNet\nS'net.py'\nS'import os; os.system(\"id\")'\ntQ)R");
    s.object = pickle_of(p.setitem());
  });
}

void add_tar_headers(Attacks& attacks) {
  const auto entries = [&](const char* name, auto change) {
    std::vector<TarEntry> list = TorchTar::good().entries();
    change(list);
    attacks.add(name, test::tar_bytes(list));
  };
  entries("tar-sound", [](auto&) {});
  entries("tar-checksum", [](auto& e) { e[1].checksum = "0000001"; });
  entries("tar-checksum-no-number", [](auto& e) { e[2].checksum = "zzzzzzz"; });
  entries("tar-size-huge", [](auto& e) { e[2].size = "77777777777"; });
  entries("tar-size-no-number", [](auto& e) { e[1].size = "99999999999"; });
  entries("tar-size-negative", [](auto& e) { e[1].size = "-0000000001"; });
  entries("tar-size-base-256", [](auto& e) { e[1].size = std::string("\x80\0\0\0\0\0\0\0\0\0\0\1", 12); });
  entries("tar-member-twice", [](auto& e) { e.push_back(e[1]); });
  entries("tar-member-missing", [](auto& e) { e.pop_back(); });
  entries("tar-member-a-link", [](auto& e) { e[2].type = '2'; });
  entries("tar-member-a-path", [](auto& e) { e.push_back({"../../etc/passwd", "x"}); });
  entries("tar-member-a-device", [](auto& e) { e.push_back({"null", "", {}, {}, '3'}); });
  entries("tar-name-with-escapes", [](auto& e) { e.push_back({"\x1b[2J", "x"}), e.push_back({"\x1b[2J", "y"}); });
  attacks.add("tar-cut-inside-a-header", TorchTar::good().bytes().substr(0, 1024 + 300));
}

void add_tar_members(Attacks& attacks) {
  const auto tensors = [&](const char* name, std::string tensor) {
    add_tar(attacks, name, [&](TorchTar& t) { t.tensors = pickle_of(1) + tensor; });
  };
  tensors("tar-tensor-one-too-far", TorchTar::tensor(4, {2, 3}, {3, 1}, 1));
  tensors("tar-tensor-size-negative", TorchTar::tensor(4, {-1}, {1}, 0));
  tensors("tar-tensor-stride-negative", TorchTar::tensor(4, {6}, {-1}, 5));
  tensors("tar-tensor-offset-negative", TorchTar::tensor(4, {6}, {1}, -1));
  tensors("tar-tensor-sizes-overflow", TorchTar::tensor(4, {kHuge, 4}, {0, 0}, 0));
  tensors("tar-tensor-extent-overflows", TorchTar::tensor(4, {5}, {kHuge}, 0));
  tensors("tar-tensor-rank-65", TorchTar::tensor(4, {}, {}, 0, 65));
  tensors("tar-tensor-rank-huge", TorchTar::tensor(4, {}, {}, 0, -1));
  tensors("tar-tensor-of-no-storage", TorchTar::tensor(9, {6}, {1}, 0));
  tensors("tar-tensor-a-number", pickle_of(3));
  tensors("tar-tensor-twice", TorchTar::tensor(4, {6}, {1}, 0));
  tensors("tar-bytes-after-the-tensors", TorchTar::tensor(4, {6}, {1}, 0) + "x");
  add_tar(attacks, "tar-tensors-more-than-there-are", [](TorchTar& t) { t.tensors.replace(4, 1, "\2"); });
  add_tar(attacks, "tar-tensors-negative", [](TorchTar& t) { t.tensors = pickle_of(-1); });
  add_tar(attacks, "tar-tensors-huge", [](TorchTar& t) { t.tensors = pickle_of(kHuge); });
  add_tar(attacks, "tar-tensors-a-call", [](TorchTar& t) { t.tensors = "cos\nsystem\n)R."; });
  const auto storages = [&](const char* name, std::int64_t numel, std::string_view slices = "]",
                            std::string_view type = "FloatStorage") {
    add_tar(attacks, name, [&](TorchTar& t) {
      t.storages = pickle_of(1) + TorchTar::key(4, PickleBuilder().text("cpu").bytes(), type) +
                   numel_and(numel, test::float_bytes(6)) + pickle_of(PickleBuilder().raw(slices));
    });
  };
  storages("tar-storage-negative", -1);
  storages("tar-storage-huge", kHuge);
  storages("tar-storage-one-less", 5);
  storages("tar-storage-one-more", 7);
  storages("tar-storage-of-no-class", 6, "]", "Config");
  storages("tar-storage-quantized", 6, "]", "QInt8Storage");
  storages("tar-slices-a-dict", 6, "}");
  storages("tar-slice-a-number", 6,
           "]K\1"
           "a");
  storages("tar-slice-too-far", 6, "](K\7K\4K\1K\6ta");
  storages("tar-slice-negative", 6, "](K\7K\4J\xff\xff\xff\xffK\6ta");
  storages("tar-slice-of-no-storage", 6, "](K\7K\11K\1K\1ta");
  storages("tar-slice-key-twice", 6, "](K\4K\4K\1K\1ta");
  storages("tar-slice-sound", 6, "](K\7K\4K\1K\2ta");
  const auto object = [&](const char* name, const PickleBuilder& value) {
    add_tar(attacks, name, [&](TorchTar& t) {
      t.object = pickle_of(PickleBuilder().empty_dict().text("w").raw(value.bytes()).setitem());
    });
  };
  object("tar-object-of-no-tensor", PickleBuilder().integer(6).raw("Q"));
  object("tar-object-id-a-list", PickleBuilder().empty_list().raw("Q"));
  object("tar-object-a-call", PickleBuilder().raw("cos\nsystem\n)R"));
  object("tar-object-a-storage", PickleBuilder().integer(4).raw("Q"));
}

}  // namespace

std::vector<Attack> old_torch_attacks() {
  Attacks attacks("old-torch");
  add_stream_headers(attacks);
  add_stream_storages(attacks);
  add_tar_headers(attacks);
  add_tar_members(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
