// Tar archives: those of PyTorch before 0.1.10, whose members hold pickles between numbers, and any other.
#include <algorithm>
#include <array>
#include <bit>

#include "formats/audit_search.hpp"
#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/tar.hpp"
#include "formats/torch_globals.hpp"
#include "mq/error.hpp"

namespace mq::formats::audit {
namespace {

// Pickles and numbers that follow each other.
class Member {
 public:
  Member(Search& search, Part part) : search_(search), part_(std::move(part)) {}

  bool at_end() const { return position_ == part_.size_bytes; }

  std::optional<Search::Literal> literal() {
    const std::uint64_t left = part_.size_bytes - position_;
    auto out = search_.literal({part_.offset + position_, left, part_.where, part_.depth});
    if (out) position_ += out->size_bytes;
    return out;
  }

  bool skip(std::uint64_t size_bytes) {
    if (!io::range_fits(position_, size_bytes, part_.size_bytes)) return false;
    position_ += size_bytes;
    return true;
  }

  template <class T>
  std::optional<T> number() {
    std::array<std::byte, sizeof(T)> bytes{};
    const std::uint64_t at = position_;
    if (!skip(bytes.size())) return std::nullopt;
    search_.file().read(part_.offset + at, bytes);
    return std::bit_cast<T>(bytes);
  }

  void fail(std::string message) const { search_.add(Verdict::Corrupt, part_.where, position_, std::move(message)); }

 private:
  Search& search_;
  Part part_;
  std::uint64_t position_ = 0;
};

std::optional<std::uint64_t> element_bytes(const std::string& class_name) {
  const auto type = torch::storage_class({.module = "torch", .name = class_name});
  if (!type || !type->dtype) return std::nullopt;
  return static_cast<std::uint64_t>(info(*type->dtype).block_bytes);
}

// count | for each: (key, location, class) | i64 numel | elements;  then a list of slices
void look_at_storages(Member member) {
  const auto count = member.literal();
  if (!count || !count->number) return member.fail("number of storages");
  for (std::int64_t i = 0; i < *count->number; ++i) {
    const auto description = member.literal();
    if (!description) return;  // what stopped it was noted
    const auto numel = member.number<std::int64_t>();
    const auto bytes = element_bytes(description->class_name);
    const auto total =
        numel && bytes && *numel >= 0 ? io::checked_multiply(static_cast<std::uint64_t>(*numel), *bytes) : std::nullopt;
    if (!total || !member.skip(*total)) return member.fail("elements of a storage that do not fit its member");
  }
  if (member.literal() && !member.at_end()) member.fail("bytes after the last storage");
}

// count | for each: (key, storage, class) | i32 rank | 4 bytes | sizes | strides | offset, of i64
void look_at_tensors(Member member) {
  const auto count = member.literal();
  if (!count || !count->number) return member.fail("number of tensors");
  for (std::int64_t i = 0; i < *count->number; ++i) {
    if (!member.literal()) return;
    const auto rank = member.number<std::int32_t>();
    if (!rank || *rank < 0 || !member.skip(4 + (2 * static_cast<std::uint64_t>(*rank) + 1) * sizeof(std::int64_t))) {
      return member.fail("description of a tensor that does not fit its member");
    }
  }
  if (!member.at_end()) member.fail("bytes after the last tensor");
}

}  // namespace

void look_at_tar(Search& search, const Part& part) {
  std::vector<TarMember> members;
  try {
    members = read_tar(search.file().part(part.offset, part.size_bytes, part.where), search.limits());
  } catch (const Error& error) {
    return search.add(part.where, error);
  }
  const auto holds = [&](std::string_view name) {
    return std::ranges::find(members, name, &TarMember::name) != members.end();
  };
  const bool is_torch = holds("pickle") && holds("storages") && holds("tensors");
  for (const TarMember& member : members) {
    Part inner{part.offset + member.offset, member.size_bytes, search.name_in(part.where, member.name), part.depth + 1};
    if (is_torch && member.name == "storages") {
      look_at_storages(Member(search, std::move(inner)));
    } else if (is_torch && member.name == "tensors") {
      look_at_tensors(Member(search, std::move(inner)));
    } else if (is_torch && (member.name == "pickle" || member.name == "sys_info")) {
      search.stream(inner, Expect::Pickle);
    } else {
      search.later(std::move(inner));
    }
  }
}

}  // namespace mq::formats::audit
