// The containers that torch.save wrote before its zip archives.
#include <cstdio>
#include <vector>

#include "tests/fuzz/mutators.hpp"

namespace mq::fuzz {
namespace {

constexpr std::size_t kBlockBytes = 512;

struct Member {
  std::string name;
  std::string content;
};

std::uint64_t octal(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '7') value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::vector<Member> members_of(std::string_view archive) {
  std::vector<Member> members;
  while (archive.size() >= kBlockBytes && archive[0] != '\0' && members.size() < 16) {
    const std::string_view name = archive.substr(0, 100);
    const std::uint64_t size = octal(archive.substr(124, 12));
    const std::string_view rest = archive.substr(kBlockBytes);
    members.push_back({std::string(name.substr(0, name.find('\0'))), std::string(rest.substr(0, size))});
    const std::uint64_t blocks = (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    archive = rest.substr(static_cast<std::size_t>(std::min<std::uint64_t>(blocks, rest.size())));
  }
  return members;
}

std::string tar_of(const std::vector<Member>& members) {
  std::string archive;
  for (const Member& member : members) {
    std::string block(kBlockBytes, '\0');
    block.replace(0, std::min<std::size_t>(member.name.size(), 99), member.name.substr(0, 99));
    char number[16];
    std::snprintf(number, sizeof(number), "%011llo", static_cast<unsigned long long>(member.content.size()));
    block.replace(124, 11, number, 11).replace(148, 8, 8, ' ');
    block[156] = '0';
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    std::snprintf(number, sizeof(number), "%06o", sum);
    block.replace(148, 7, number, 7);
    archive += block + member.content;
    archive.resize((archive.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  }
  return archive + std::string(2 * kBlockBytes, '\0');
}

// Pickles one after the other and what follows them: one of the parts changed.
std::string mutate_parts(std::string_view text, std::size_t room, Random& random) {
  std::vector<std::string> pickles;
  while (text.size() > 1 && pickles.size() < 8 && (text[0] == '\x80' || text[0] == '(' || text[0] == 'K')) {
    const std::size_t bytes = pickle_bytes(text);
    pickles.emplace_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  std::string rest(text);
  const std::size_t part = below(random, pickles.size() + 1);
  if (part == pickles.size()) {
    rest = mutate_bytes(rest, rest.size() + room);
  } else {
    pickles[part] = mutate_pickle(pickles[part], pickles[part].size() + room, random);
  }
  std::string out;
  for (const std::string& pickle : pickles) out += pickle;
  return out + rest;
}

}  // namespace

std::string mutate_torch_stream(std::string_view stream, std::size_t max_bytes, Random& random) {
  if (one_in(random, 10)) return mutate_bytes(stream, max_bytes);
  // Magic number, version and system say little; the object, the keys and the storages are worth most.
  std::size_t head = 0;
  for (int i = 0; i < 3; ++i) head += pickle_bytes(stream.substr(head));
  const std::size_t room = max_bytes - std::min(max_bytes, stream.size());
  if (one_in(random, 8)) return mutate_parts(stream, room, random);
  return std::string(stream.substr(0, head)) + mutate_parts(stream.substr(head), room, random);
}

std::string mutate_tar(std::string_view archive, std::size_t max_bytes, Random& random) {
  if (one_in(random, 10)) return mutate_bytes(archive, max_bytes);
  std::vector<Member> members = members_of(archive);
  if (members.empty()) return mutate_bytes(archive, max_bytes);
  Member& member = members[below(random, members.size())];
  switch (below(random, 10)) {
    case 0:
      member.name = mutate_bytes(member.name, 40);
      break;
    case 1:
      members.push_back(Member(member));
      break;
    case 2:
      std::swap(member, members.front());
      break;
    default:
      member.content = mutate_parts(member.content, max_bytes - std::min(max_bytes, archive.size()), random);
  }
  return tar_of(members);
}

}  // namespace mq::fuzz
