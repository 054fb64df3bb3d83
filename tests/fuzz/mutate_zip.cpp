#include <optional>
#include <vector>

#include "tests/fuzz/mutators.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::fuzz {
namespace {

using test::ZipTweaks;

struct Record {
  std::string name;
  std::string content;  // as it lies in the file
  ZipTweaks tweaks;
};

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  if (at <= bytes.size() && bytes.size() - at >= sizeof(T)) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// What the directory lists, as far as it makes sense: what does not is left out.
std::vector<Record> records_of(std::string_view archive) {
  std::vector<Record> records;
  const std::size_t end = archive.rfind("PK\5\6");
  if (end == std::string_view::npos) return records;
  std::size_t at = number_at<std::uint32_t>(archive, end + 16);
  while (archive.substr(std::min(at, archive.size())).starts_with("PK\1\2") && records.size() < 64) {
    const auto size = number_at<std::uint32_t>(archive, at + 20);
    const auto name_bytes = number_at<std::uint16_t>(archive, at + 28);
    const auto local = number_at<std::uint32_t>(archive, at + 42);
    const std::size_t data = std::size_t{local} + 30 + number_at<std::uint16_t>(archive, local + std::size_t{26}) +
                             number_at<std::uint16_t>(archive, local + std::size_t{28});
    if (at + 46 + name_bytes <= archive.size() && data <= archive.size() && size <= archive.size() - data) {
      Record record{std::string(archive.substr(at + 46, name_bytes)), std::string(archive.substr(data, size)), {}};
      const auto method = number_at<std::uint16_t>(archive, at + 10);
      if (method != 0) {
        record.tweaks.method = method;
        record.tweaks.crc = number_at<std::uint32_t>(archive, at + 16);
        record.tweaks.size = number_at<std::uint32_t>(archive, at + 24);
      }
      records.push_back(std::move(record));
    }
    at += std::size_t{46} + name_bytes + number_at<std::uint16_t>(archive, at + 30) +
          number_at<std::uint16_t>(archive, at + 32);
  }
  return records;
}

void change_content(Record& record, std::size_t room, Random& random) {
  const bool pickle = record.content.starts_with('\x80') && !one_in(random, 4);
  record.content = pickle ? mutate_pickle(record.content, room, random) : mutate_bytes(record.content, room);
  if (record.tweaks.method == 0) record.tweaks.crc.reset();
}

// A form of header that is allowed.
void change_form(Record& record, Random& random) {
  using enum ZipTweaks::Descriptor;
  constexpr std::array kDescriptors{None, Signed32, Plain32, Signed64};
  record.tweaks.descriptor = kDescriptors[below(random, kDescriptors.size())];
  record.tweaks.zip64 = one_in(random, 3);
  record.tweaks.padding.assign(below(random, 3) * 5, 'Z');
  if (one_in(random, 4)) record.tweaks.crc = 0;
}

// One field that contradicts the others.
void tell_lie(Record& record, Random& random) {
  ZipTweaks& tweaks = record.tweaks;
  const auto size = static_cast<std::uint32_t>(record.content.size());
  const std::uint32_t wrong = one_in(random, 2) ? size + 1 : static_cast<std::uint32_t>(random());
  switch (below(random, 10)) {
    case 0:
      tweaks.local_name = mutate_bytes(record.name, record.name.size() + 2);
      break;  // clang-format off
    case 1: tweaks.local_method = static_cast<std::uint16_t>(below(random, 12)); break;
    case 2: tweaks.local_crc = wrong; break;
    case 3: tweaks.local_size = wrong; break;
    case 4: tweaks.local_flags = static_cast<std::uint16_t>(random()); break;
    case 5: tweaks.central_size = wrong; break;
    case 6: tweaks.central_offset = wrong; break;
    case 7: tweaks.descriptor_size = wrong; break;
    case 8: tweaks.flags = static_cast<std::uint16_t>(random()); break;
    default: tweaks.method = static_cast<std::uint16_t>(below(random, 12));  // clang-format on
  }
}

void change_records(std::vector<Record>& records, std::size_t room, Random& random) {
  const auto any = [&]() -> Record& { return records[below(random, records.size())]; };
  switch (below(random, 12)) {
    case 0:
      if (records.size() > 1)
        records.erase(records.begin() + static_cast<std::ptrdiff_t>(below(random, records.size())));
      break;
    case 1: {
      Record copy = any();
      if (!one_in(random, 4)) copy.name += 'x';
      records.push_back(std::move(copy));
      break;
    }
    case 2:
      any().name = mutate_bytes(any().name, 40);
      break;
    case 3:
      std::swap(any(), any());
      break;
    case 4:
      change_form(any(), random);
      break;
    case 5:
      tell_lie(any(), random);
      break;
    default: {
      // The pickle is worth more than all others together.
      Record& record = one_in(random, 2) ? any() : records.front();
      change_content(record, record.content.size() + room, random);
    }
  }
}

}  // namespace

std::string mutate_zip(std::string_view archive, std::size_t max_bytes, Random& random) {
  if (one_in(random, 10)) return mutate_bytes(archive, max_bytes);
  std::vector<Record> records = records_of(archive);
  if (records.empty()) records.push_back({"m/data.pkl", "\x80\x02}.", {}});
  const std::size_t room = max_bytes - std::min(max_bytes, archive.size());
  for (std::size_t changes = 1 + below(random, 2); changes > 0; --changes) change_records(records, room, random);
  test::ZipBuilder builder;
  for (const Record& record : records) builder.add(record.name, record.content, record.tweaks);
  std::string bytes = builder.finish({.zip64 = one_in(random, 3)});
  return one_in(random, 8) ? mutate_bytes(bytes, max_bytes) : bytes;
}

}  // namespace mq::fuzz
