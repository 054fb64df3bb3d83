#include "formats/tar.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

constexpr std::uint64_t kBlockBytes = 512;
constexpr std::size_t kNameBytes = 100, kSizeAt = 124, kNumberBytes = 12, kChecksumAt = 148, kChecksumBytes = 8;
constexpr std::size_t kTypeAt = 156;

using Block = std::array<char, kBlockBytes>;

std::string_view field(const Block& block, std::size_t at, std::size_t size_bytes) {
  const std::string_view text(block.data() + at, size_bytes);
  return text.substr(0, text.find('\0'));
}

// Octal digits between spaces.
std::optional<std::uint64_t> octal(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(digit - '0');  // at most 12 digits: 36 bits
  }
  return value;
}

// The sum of all bytes, those of the sum itself counted as spaces.
bool has_checksum(const Block& block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes;
    sum += own ? static_cast<unsigned char>(' ') : static_cast<unsigned char>(block[i]);
  }
  return octal(field(block, kChecksumAt, kChecksumBytes)) == sum;
}

Block read_block(const io::File& file, std::uint64_t offset) {
  Block block{};
  file.read(offset, std::as_writable_bytes(std::span(block)));
  return block;
}

[[noreturn]] void corrupt(const io::File& file, std::uint64_t offset, std::string message, std::string expected = {},
                          std::string found = {}) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = file.path().string(),
               .offset = offset,
               .expected = std::move(expected),
               .found = std::move(found)});
}

}  // namespace

bool looks_like_tar(const io::File& file) {
  return file.size() >= kBlockBytes && has_checksum(read_block(file, 0));
}

std::vector<TarMember> read_tar(const io::File& file, const Limits& limits) {
  std::vector<TarMember> members;
  std::uint64_t offset = 0;
  while (offset < file.size()) {
    if (!io::range_fits(offset, kBlockBytes, file.size())) corrupt(file, offset, "header of a tar member is cut off");
    const Block block = read_block(file, offset);
    if (std::ranges::all_of(block, [](char c) { return c == 0; })) break;  // the end
    if (!has_checksum(block)) corrupt(file, offset, "checksum of the header of a tar member");
    const std::optional<std::uint64_t> size_bytes = octal(field(block, kSizeAt, kNumberBytes));
    if (!size_bytes) corrupt(file, offset, "size of a tar member", "octal digits");
    const std::uint64_t begin = offset + kBlockBytes;
    if (!io::range_fits(begin, *size_bytes, file.size())) {
      corrupt(file, offset, "a tar member reaches beyond the end of the file", std::to_string(*size_bytes) + " bytes",
              std::to_string(file.size() - std::min(begin, file.size())));
    }
    const char type = block[kTypeAt];
    if (type == '0' || type == '\0') {
      members.push_back({std::string(field(block, 0, kNameBytes)), begin, *size_bytes});
      if (members.size() > limits.entries) {
        refuse_limit(limits, &Limits::entries, {.message = "members of a tar archive", .file = file.path().string()});
      }
    }
    offset = begin + (*size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  }
  std::vector<std::string_view> names;
  for (const TarMember& member : members) names.emplace_back(member.name);
  if (const auto twice = find_duplicate(std::move(names))) {
    corrupt(file, 0, "two tar members are called " + std::string(*twice));
  }
  return members;
}

}  // namespace mq::formats
