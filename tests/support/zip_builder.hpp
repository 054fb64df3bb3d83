// Zip archives put together field by field, right or wrong, and the checkpoints that torch.save would make of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/crc.hpp"
#include "tests/support/pickle_builder.hpp"

namespace mq::test {

inline std::uint32_t crc_of(std::string_view bytes) {
  return formats::crc32(0, std::as_bytes(std::span(bytes)));
}

// How a record is written, and what the local header and the directory say about it where that is not the truth.
struct ZipTweaks {
  enum class Descriptor { None, Signed32, Plain32, Signed64 };
  Descriptor descriptor = Descriptor::None;
  bool zip64 = false;   // sizes and offset of the directory entry in a zip64 field
  std::string padding;  // of the local header, as a field that readers skip
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::optional<std::string> stored;  // the bytes in the file, if they are not the content: deflated data
  std::optional<std::uint32_t> size;  // of the content, in both
  std::optional<std::uint32_t> crc;   // in both; 0 for "not computed"
  std::optional<std::string> local_name;
  std::optional<std::uint16_t> local_method;
  std::optional<std::uint32_t> local_crc;
  std::optional<std::uint32_t> local_size;
  std::optional<std::uint16_t> local_flags;
  std::optional<std::uint32_t> central_size;
  std::optional<std::uint32_t> central_offset;
  std::optional<std::uint32_t> descriptor_size;
  std::uint16_t disk = 0;
};

struct ZipEndTweaks {
  bool zip64 = false;
  std::optional<std::uint16_t> entries;
  std::optional<std::uint32_t> directory_size;
  std::optional<std::uint32_t> directory_offset;
  std::optional<std::uint64_t> entries64;
  std::optional<std::uint64_t> locator_offset;
  std::uint16_t disk = 0;
  std::string comment;
  std::optional<std::uint16_t> comment_bytes;
};

class ZipBuilder {
 public:
  ZipBuilder& add(std::string_view name, std::string_view content, const ZipTweaks& tweaks = {}) {
    const std::string_view stored = tweaks.stored ? std::string_view(*tweaks.stored) : content;
    const std::uint32_t size = tweaks.size.value_or(static_cast<std::uint32_t>(content.size()));
    const auto stored_size = static_cast<std::uint32_t>(stored.size());
    const std::uint32_t crc = tweaks.crc.value_or(crc_of(content));
    const bool open = tweaks.descriptor != ZipTweaks::Descriptor::None;
    const auto flags = static_cast<std::uint16_t>(tweaks.flags | (open ? 8 : 0));
    const auto offset = static_cast<std::uint32_t>(out_.bytes().size());
    const std::string local_name = tweaks.local_name.value_or(std::string(name));
    out_.raw("PK\3\4").number<std::uint16_t>(0).number(tweaks.local_flags.value_or(flags));
    out_.number(tweaks.local_method.value_or(tweaks.method)).number<std::uint32_t>(0);
    out_.number(tweaks.local_crc.value_or(open ? 0 : crc));
    out_.number(tweaks.local_size.value_or(open ? 0 : stored_size));
    out_.number(tweaks.local_size.value_or(open ? 0 : size)).number(static_cast<std::uint16_t>(local_name.size()));
    const std::size_t extra_bytes = tweaks.padding.empty() ? 0 : tweaks.padding.size() + 4;
    out_.number(static_cast<std::uint16_t>(extra_bytes)).raw(local_name);
    if (extra_bytes > 0) out_.raw("FB").number(static_cast<std::uint16_t>(tweaks.padding.size())).raw(tweaks.padding);
    out_.raw(stored);
    add_descriptor(tweaks, crc, tweaks.descriptor_size.value_or(stored_size), tweaks.descriptor_size.value_or(size));
    add_entry(name, tweaks, flags, crc, tweaks.central_size.value_or(stored_size), tweaks.central_size.value_or(size),
              tweaks.central_offset.value_or(offset));
    ++entries_;
    return *this;
  }

  // Bytes so far: where the next record will begin.
  std::uint64_t size_bytes() const { return out_.bytes().size(); }

  std::string finish(const ZipEndTweaks& tweaks = {}) {
    const std::uint64_t offset = out_.bytes().size(), size = directory_.bytes().size();
    out_.raw(directory_.bytes());
    if (tweaks.zip64) {
      const std::uint64_t end = out_.bytes().size();
      out_.raw("PK\6\6").number<std::uint64_t>(44).number<std::uint32_t>(0).number<std::uint64_t>(0);
      out_.number(tweaks.entries64.value_or(entries_)).number<std::uint64_t>(entries_).number(size).number(offset);
      out_.raw("PK\6\7").number<std::uint32_t>(0).number(tweaks.locator_offset.value_or(end)).number<std::uint32_t>(1);
    }
    const auto entries = tweaks.entries.value_or(static_cast<std::uint16_t>(entries_));
    out_.raw("PK\5\6").number(tweaks.disk).number(tweaks.disk).number(entries).number(entries);
    out_.number(tweaks.directory_size.value_or(static_cast<std::uint32_t>(size)));
    out_.number(tweaks.directory_offset.value_or(static_cast<std::uint32_t>(offset)));
    out_.number(tweaks.comment_bytes.value_or(static_cast<std::uint16_t>(tweaks.comment.size()))).raw(tweaks.comment);
    return out_.bytes();
  }

 private:
  void add_descriptor(const ZipTweaks& tweaks, std::uint32_t crc, std::uint32_t stored_size, std::uint32_t size) {
    using enum ZipTweaks::Descriptor;
    if (tweaks.descriptor == None) return;
    if (tweaks.descriptor != Plain32) out_.raw("PK\7\10");
    out_.number(crc);
    if (tweaks.descriptor == Signed64) {
      out_.number<std::uint64_t>(stored_size).number<std::uint64_t>(size);
    } else {
      out_.number(stored_size).number(size);
    }
  }

  void add_entry(std::string_view name, const ZipTweaks& tweaks, std::uint16_t flags, std::uint32_t crc,
                 std::uint32_t stored_size, std::uint32_t size, std::uint32_t offset) {
    constexpr std::uint32_t kFull = 0xffffffff;
    directory_.raw("PK\1\2").number<std::uint32_t>(0).number(flags).number(tweaks.method).number<std::uint32_t>(0);
    directory_.number(crc).number(tweaks.zip64 ? kFull : stored_size).number(tweaks.zip64 ? kFull : size);
    directory_.number(static_cast<std::uint16_t>(name.size())).number<std::uint16_t>(tweaks.zip64 ? 28 : 0);
    directory_.number<std::uint16_t>(0).number(tweaks.disk).number<std::uint16_t>(0).number<std::uint32_t>(0);
    directory_.number(tweaks.zip64 ? kFull : offset).raw(name);
    if (tweaks.zip64) {
      directory_.number<std::uint16_t>(1).number<std::uint16_t>(24).number<std::uint64_t>(size);
      directory_.number<std::uint64_t>(stored_size).number<std::uint64_t>(offset);
    }
  }

  PickleBuilder out_;  // which knows how to write numbers
  PickleBuilder directory_;
  std::uint64_t entries_ = 0;
};

// Records of a checkpoint: storages "0", "1", ... with these contents.
struct TorchFile {
  std::string pickle;
  std::vector<std::string> storages;
  std::optional<std::uint32_t> crc;  // of the pickle; 0 for "not computed"
  std::string version = "3\n";
  std::string byteorder = "little";
};

inline std::string torch_bytes(const TorchFile& file) {
  ZipBuilder zip;
  zip.add("m/data.pkl", file.pickle, {.crc = file.crc});
  if (!file.byteorder.empty()) zip.add("m/byteorder", file.byteorder);
  for (std::size_t i = 0; i < file.storages.size(); ++i) zip.add("m/data/" + std::to_string(i), file.storages[i]);
  if (!file.version.empty()) zip.add("m/version", file.version);
  return zip.finish();
}

// The bytes of floats first, first + 1, ...
inline std::string float_bytes(int count, float first = 0) {
  PickleBuilder out;
  for (int i = 0; i < count; ++i) out.number(first + static_cast<float>(i));
  return out.bytes();
}

}  // namespace mq::test
