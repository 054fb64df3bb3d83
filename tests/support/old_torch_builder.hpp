// Checkpoints of torch.save before its zip archives, put together part by part, right or wrong.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/pickle_builder.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::test {

// One value as a pickle.
inline std::string pickle_of(const PickleBuilder& value) {
  return "\x80\x02" + value.bytes() + ".";
}
inline std::string pickle_of(std::int64_t value) {
  return pickle_of(PickleBuilder().integer(value));
}

// A storage as old versions name it: with a slice, or None.
inline PickleBuilder& old_storage(PickleBuilder& p, std::string_view key, std::int64_t numel,
                                  std::string_view slice = "N", std::string_view type = "FloatStorage") {
  p.mark().text("storage").global("torch", type).text(key).text("cpu").integer(numel).raw(slice);
  return p.tuple().raw("Q");
}

inline PickleBuilder& old_tensor(PickleBuilder& p, std::string_view key, std::int64_t numel,
                                 std::string_view slice = "N") {
  p.global("torch._utils", "_rebuild_tensor_v2").mark();
  old_storage(p, key, numel, slice).integer(0).integers({2, 3}).integers({3, 1}).boolean(false);
  return p.ordered_dict().tuple().reduce();
}

// A stream, from 0.1.10 to 1.5: each member is what the file holds, in this order.
struct TorchStream {
  std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  std::string version = pickle_of(1001);
  std::string system;
  std::string object;
  std::string keys;
  std::string storages;

  std::string bytes() const { return magic + version + system + object + keys + storages; }

  // {"w": six floats}.
  static TorchStream good() {
    TorchStream stream;
    PickleBuilder system, object, keys, storage;
    system.empty_dict().text("protocol_version").integer(1001).setitem().text("little_endian").boolean(true).setitem();
    stream.system = pickle_of(system);
    object.empty_dict().text("w");
    stream.object = pickle_of(old_tensor(object, "77", 6).setitem());
    stream.keys = pickle_of(keys.empty_list().text("77").append());
    stream.storages = storage.number<std::int64_t>(6).raw(float_bytes(6)).bytes();
    return stream;
  }
};

struct TarEntry {
  std::string name;
  std::string content;
  std::optional<std::string> size = {};      // the field, instead of the right one
  std::optional<std::string> checksum = {};  // the field, instead of the right one
  char type = '0';
};

inline std::string octal(std::uint64_t value, int digits) {
  char text[32];
  const int length = std::snprintf(text, sizeof(text), "%0*llo", digits, static_cast<unsigned long long>(value));
  return {text, static_cast<std::size_t>(length)};
}

inline std::string tar_bytes(const std::vector<TarEntry>& entries) {
  constexpr std::size_t kBlock = 512;
  std::string out;
  for (const TarEntry& entry : entries) {
    std::string block(kBlock, '\0');
    block.replace(0, std::min<std::size_t>(entry.name.size(), 100), entry.name.substr(0, 100));
    const std::string size = entry.size.value_or(octal(entry.content.size(), 11));
    block.replace(124, size.size(), size).replace(148, 8, 8, ' ');
    block[156] = entry.type;
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    const std::string checksum = entry.checksum.value_or(octal(sum, 6) + '\0');
    block.replace(148, checksum.size(), checksum);
    out += block + entry.content;
    out.resize((out.size() + kBlock - 1) / kBlock * kBlock);
  }
  return out + std::string(2 * kBlock, '\0');
}

// The members of a tar archive, before 0.1.10: storages and tensors are lists of pickles and numbers.
struct TorchTar {
  std::string storages;
  std::string tensors;
  std::string object;

  std::vector<TarEntry> entries() const { return {{"pickle", object}, {"tensors", tensors}, {"storages", storages}}; }
  std::string bytes() const { return tar_bytes(entries()); }

  static std::string key(std::int64_t key, std::string_view second, std::string_view type) {
    PickleBuilder p;
    return pickle_of(p.mark().integer(key).raw(second).global("torch", type).tuple());
  }
  // (key, storage, class), sizes, strides and offset of a tensor.
  static std::string tensor(std::int64_t storage, const std::vector<std::int64_t>& sizes,
                            const std::vector<std::int64_t>& strides, std::int64_t offset,
                            std::optional<std::int32_t> rank = {}) {
    PickleBuilder p;
    p.raw(key(5, PickleBuilder().integer(storage).bytes(), "FloatTensor"));
    p.number(rank.value_or(static_cast<std::int32_t>(sizes.size()))).number<std::int32_t>(0);
    for (const std::int64_t size : sizes) p.number(size);
    for (const std::int64_t stride : strides) p.number(stride);
    return p.number(offset).bytes();
  }

  // {"w": six floats}.
  static TorchTar good() {
    TorchTar tar;
    PickleBuilder storage, slices, object;
    storage.raw(pickle_of(1)).raw(key(4, PickleBuilder().text("cpu").bytes(), "FloatStorage"));
    tar.storages = storage.number<std::int64_t>(6).raw(float_bytes(6)).raw(pickle_of(slices.empty_list())).bytes();
    tar.tensors = pickle_of(1) + tensor(4, {2, 3}, {3, 1}, 0);
    tar.object = pickle_of(object.empty_dict().text("w").integer(5).raw("Q").setitem());
    return tar;
  }
};

}  // namespace mq::test
