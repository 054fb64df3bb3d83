// Zip archives in which one field lies. What the archive holds is a good checkpoint of torch.save.
#include <string>

#include "tests/attacks/attack.hpp"
#include "tests/support/deflate_builder.hpp"

namespace mq::attacks {
namespace {

using test::ZipBuilder;
using test::ZipEndTweaks;
using test::ZipTweaks;
using Descriptor = ZipTweaks::Descriptor;

// A checkpoint whose storage is written with these tweaks.
std::string archive(const ZipTweaks& tweaks, const ZipEndTweaks& end = {}) {
  ZipBuilder zip;
  zip.add("m/data.pkl", good_dict().bytes() + ".").add("m/data/0", test::float_bytes(6), tweaks);
  return zip.add("m/version", "3\n").finish(end);
}

struct Lie {
  const char* name;
  ZipTweaks record;
};

void add_record_lies(Attacks& attacks) {
  for (const Lie& lie : std::vector<Lie>{
           {"sound", {}},
           {"sound-descriptor", {.descriptor = Descriptor::Signed32}},
           {"sound-descriptor-unsigned", {.descriptor = Descriptor::Plain32}},
           {"sound-descriptor-64", {.descriptor = Descriptor::Signed64}},
           {"sound-zip64", {.zip64 = true}},
           {"local-name", {.local_name = "m/data/1"}},
           {"local-name-empty", {.local_name = ""}},
           {"local-name-longer-than-the-file", {.local_name = std::string(60'000, 'm')}},
           {"local-method", {.local_method = 8}},
           {"local-crc", {.local_crc = 1}},
           {"local-size", {.local_size = 23}},
           {"local-size-huge", {.local_size = 0xfffffffe}},
           {"local-flags-descriptor", {.local_flags = 8}},
           {"local-flags-encrypted", {.local_flags = 1}},
           {"central-size-smaller", {.central_size = 23}},
           {"central-size-larger", {.central_size = 25}},
           {"central-size-huge", {.central_size = 0x7fffffff}},
           {"central-offset-into-a-record", {.central_offset = 1}},
           {"central-offset-of-another-record", {.central_offset = 0}},
           {"central-offset-into-the-directory", {.central_offset = 300}},
           {"central-offset-beyond-the-file", {.central_offset = 0x7ffffff0}},
           {"descriptor-size", {.descriptor = Descriptor::Signed32, .descriptor_size = 23}},
           {"descriptor-and-local-size", {.descriptor = Descriptor::Signed32, .local_size = 23}},
           {"descriptor-not-announced", {.descriptor = Descriptor::Signed32, .local_flags = 0}},
           {"encrypted", {.flags = 0x1}},
           {"encrypted-strongly", {.flags = 0x41}},
           {"encrypted-directory", {.flags = 0x2000}},
           {"patched", {.flags = 0x20}},
           {"method-1", {.method = 1}},
           {"method-93", {.method = 93}},
           {"method-99", {.method = 99}},
           {"on-disk-1", {.disk = 1}},
           {"on-disk-65535", {.disk = 0xffff}},
           {"crc-of-an-empty-record", {.crc = 1}},
       }) {
    attacks.add(lie.name, archive(lie.record));
  }
}

void add_end_lies(Attacks& attacks) {
  struct EndLie {
    const char* name;
    ZipEndTweaks end;
  };
  for (const EndLie& lie : std::vector<EndLie>{
           {"sound-end64", {.zip64 = true}},
           {"sound-comment", {.comment = "a comment"}},
           {"entries-0", {.entries = 0}},
           {"entries-one-less", {.entries = 2}},
           {"entries-one-more", {.entries = 4}},
           {"entries-65535", {.entries = 65535}},
           {"directory-size", {.directory_size = 5}},
           {"directory-size-huge", {.directory_size = 0xfffffff0}},
           {"directory-offset-0", {.directory_offset = 0}},
           {"directory-offset-huge", {.directory_offset = 0xfffffff0}},
           {"end64-entries", {.zip64 = true, .entries64 = 9}},
           {"end64-entries-huge", {.zip64 = true, .entries = 0xffff, .entries64 = ~std::uint64_t{0}}},
           {"end64-and-end-entries", {.zip64 = true, .entries = 2}},
           {"end64-and-end-size", {.zip64 = true, .directory_size = 5}},
           {"end64-and-end-offset", {.zip64 = true, .directory_offset = 5}},
           {"locator-into-a-record", {.zip64 = true, .locator_offset = 3}},
           {"locator-beyond-the-file", {.zip64 = true, .locator_offset = ~std::uint64_t{0}}},
           {"end-on-disk-1", {.disk = 1}},
           {"comment-longer-than-it-is", {.comment = "x", .comment_bytes = 9}},
           {"comment-shorter-than-it-is", {.comment = "x", .comment_bytes = 0}},
           {"comment-with-an-end", {.comment = "PK\5\6 and then some"}},
       }) {
    attacks.add(lie.name, archive({}, lie.end));
  }
}

void add_whole(Attacks& attacks) {
  const std::string good = archive({});
  const std::size_t end = good.rfind("PK\5\6"), directory = good.find("PK\1\2");
  attacks.add("junk-before", "junk" + good);
  attacks.add("junk-after", good + "junk");
  attacks.add("end-missing", good.substr(0, end));
  attacks.add("end-cut", good.substr(0, end + 21));
  attacks.add("directory-missing", good.substr(0, directory));
  attacks.add("first-bytes-only", "PK\3\4");
  attacks.add("end-only", good.substr(end));
  attacks.add("end-twice", good + good.substr(end));
  std::string padded = good;
  const auto moved = static_cast<std::uint32_t>(directory + 64);
  padded.insert(directory, 64, '\0').replace(end + 64 + 16, 4, reinterpret_cast<const char*>(&moved), 4);
  attacks.add("gap-before-the-directory", padded);
}

void add_overlaps(Attacks& attacks) {
  const std::string pickle = good_dict().bytes() + ".", storage = test::float_bytes(6);
  const auto sound = [&] {
    ZipBuilder zip;
    zip.add("m/data.pkl", pickle).add("m/version", "3\n").add("m/data/0", storage);
    return zip;
  };
  attacks.add("name-twice", sound().add("m/data/0", test::float_bytes(6)).finish());
  attacks.add("name-twice-pickle", sound().add("m/data.pkl", pickle).finish());
  attacks.add("name-empty", sound().add("", "x").finish());
  attacks.add("records-share-data", sound().add("m/data/1", storage, {.central_offset = 0}).finish());
  const std::string inner = ZipBuilder().add("m/data/1", "data").finish().substr(0, 30 + 8 + 4);
  ZipBuilder nested;
  nested.add("m/data.pkl", pickle).add("m/version", "3\n");
  const auto at = static_cast<std::uint32_t>(nested.size_bytes() + 30 + 6);
  attacks.add("record-inside-a-record",
              nested.add("m/blob", inner).add("m/data/1", "data", {.central_offset = at}).finish());
  // One record of zeros under many names: what is called a zip bomb.
  ZipBuilder many = sound();
  const auto shared = static_cast<std::uint32_t>(many.size_bytes());
  many.add("m/data/x", std::string(1000, '\0'));
  for (int i = 0; i < 1000; ++i) {
    many.add("m/data/x" + std::to_string(i), "", {.central_size = 1000, .central_offset = shared});
  }
  attacks.add("bomb-of-shared-records", many.finish());
  attacks.add("empty-archive", ZipBuilder().finish());
}

void add_compressed(Attacks& attacks) {
  // A stored block of deflate around the six floats.
  const std::string floats = test::float_bytes(6);
  const std::string deflated = std::string("\x01\x18\x00\xe7\xff", 5) + floats;
  const auto with = [&](const char* name, const std::string& stored, std::uint32_t size, std::uint32_t crc) {
    ZipBuilder zip;
    zip.add("m/data.pkl", good_dict().bytes() + ".").add("m/version", "3\n");
    zip.add("m/data/0", stored, {.method = 8, .size = size, .crc = crc});
    attacks.add(name, zip.finish());
  };
  const std::uint32_t crc = test::crc_of(floats);
  with("deflate-sound", deflated, 24, crc);
  with("deflate-declared-too-long", deflated, 25, crc);
  with("deflate-declared-too-short", deflated, 23, crc);
  with("deflate-rot", deflated, 24, crc + 1);
  with("deflate-cut", deflated.substr(0, 20), 24, crc);
  with("deflate-bytes-after", deflated + "x", 24, crc);
  with("deflate-empty-data", "", 24, crc);
  with("deflate-wrong-block", "\x07", 24, crc);
  with("deflate-ratio", std::string(100, '\0'), 0x7fffffff, crc);
  // What the pickle becomes is not known before it was inflated: a thousand times its size.
  const std::string zeros(1'000'000, '\0');
  ZipBuilder bomb;
  bomb.add("m/data.pkl", zeros, {.method = 8, .stored = test::DeflateBuilder().fixed(zeros, true).bytes()});
  attacks.add("deflate-bomb", bomb.add("m/version", "3\n").finish());
}

}  // namespace

std::vector<Attack> zip_attacks() {
  Attacks attacks("zip");
  add_record_lies(attacks);
  add_end_lies(attacks);
  add_whole(attacks);
  add_overlaps(attacks);
  add_compressed(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
