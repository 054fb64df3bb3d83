#include "formats/torch_ending.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "formats/crc.hpp"
#include "formats/crc_combine.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;
constexpr std::size_t kIdDigits = 20;

// Bytes from an offset of a file on, written in large pieces.
class Appender {
 public:
  Appender(const io::File& file, std::uint64_t offset) : file_(file), offset_(offset) {}

  std::string& out() {
    if (text_.size() >= kBufferBytes) flush();
    return text_;
  }
  void flush() {
    file_.write(offset_, bytes_of_text(text_));
    offset_ += text_.size();
    text_.clear();
  }

 private:
  const io::File& file_;
  std::uint64_t offset_;
  std::string text_;
};

// As PyTorch combines the hashes of its records, with checksums of names for hashes of them.
void combine(std::uint64_t& seed, std::uint64_t value) {
  seed ^= value + 0x9e3779b9 + (seed << 6) + (seed >> 2);
}

std::string digits(std::uint64_t number) {
  const std::string text = std::to_string(number);
  return std::string(kIdDigits - text.size(), '0') + text;
}

std::uint32_t crc_of(const io::File& file, const zip::PlacedRecord& record) {
  std::uint32_t crc = 0;
  std::vector<std::byte> buffer;
  for (std::uint64_t at = 0; at < record.size_bytes; at += buffer.size()) {
    buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBufferBytes, record.size_bytes - at)));
    file.read(record.data_offset + at, buffer);
    crc = crc32(crc, buffer);
  }
  return crc;
}

}  // namespace

std::span<const std::byte> bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string storage_name(std::size_t key) {
  return std::string(kRoot) + "data/" + std::to_string(key);
}

Ending::Ending(StateDict dict, std::vector<KnownRecord> known, std::uint64_t first_storage)
    : places_(std::move(dict.places)),
      floats_(std::move(dict.floats)),
      known_(std::move(known)),
      first_storage_(first_storage) {
  storages_.reserve(dict.storage_bytes.size());
  for (const std::uint64_t bytes : dict.storage_bytes) storages_.push_back({.size_bytes = bytes});
}

void Ending::take(std::size_t index, std::uint64_t first_byte, std::span<const std::byte> bytes) {
  if (places_[index].in_pickle) return;
  Storage& storage = storages_[static_cast<std::size_t>(places_[index].at)];
  const std::uint64_t after = storage.size_bytes - first_byte - bytes.size();
  std::atomic_ref(storage.crc).fetch_xor(crc32_share(crc32(0, bytes), bytes.size(), after));
  std::atomic_ref(storage.taken).store(1, std::memory_order_relaxed);
}

template <class F>
std::uint64_t Ending::for_each_storage(F&& f) {
  std::uint64_t at = first_storage_;
  for (std::size_t key = 0; key < storages_.size(); ++key) {
    const std::string name = storage_name(key);
    const zip::PlacedRecord record = zip::place_record(at, name, storages_[key].size_bytes);
    f(record, name, storages_[key]);
    at = record.end();
  }
  return at;
}

std::vector<std::uint64_t> Ending::offsets() {
  const std::uint64_t pickle = known_.front().place.data_offset;
  std::vector<std::uint64_t> storages;
  for_each_storage(
      [&](const zip::PlacedRecord& record, const std::string&, Storage&) { storages.push_back(record.data_offset); });
  std::vector<std::uint64_t> offsets;
  for (const StateDict::Place& place : places_) {
    offsets.push_back(place.in_pickle ? pickle + place.at : storages[static_cast<std::size_t>(place.at)]);
  }
  return offsets;
}

std::uint64_t Ending::file_bytes() {
  std::uint64_t directory = 0;
  const auto add = [&](const zip::PlacedRecord& record, std::string_view name) {
    directory += zip::central_bytes(record, name);
  };
  for (const KnownRecord& record : known_) add(record.place, record.name);
  std::uint64_t end =
      for_each_storage([&](const zip::PlacedRecord& record, const std::string& name, Storage&) { add(record, name); });
  for (const KnownRecord& record : last_records(end, std::string(2 * kIdDigits, '0'))) {
    add(record.place, record.name);
    end = record.place.end();
  }
  return end + directory + zip::end_bytes();
}

std::vector<KnownRecord> Ending::last_records(std::uint64_t offset, std::string id) {
  std::vector<KnownRecord> records;
  records.push_back(make_record(offset, "version", "3\n"));
  records.push_back(make_record(records.back().place.end(), ".data/serialization_id", std::move(id)));
  return records;
}

void Ending::write(const io::File& file) {
  KnownRecord& pickle = known_.front();
  pickle.crc = finish_pickle(file);
  std::string text;
  zip::append_descriptor(text, pickle.place, pickle.crc);
  file.write(pickle.place.data_offset + pickle.place.size_bytes, bytes_of_text(text));
  const std::uint64_t end = for_each_storage([&](const zip::PlacedRecord& record, const std::string& name,
                                                 Storage& storage) { finish_storage(file, record, name, storage); });
  write_tail(file, end);
}

// Turns the floats in it around, which were written as all tensors are, and returns its checksum.
std::uint32_t Ending::finish_pickle(const io::File& file) const {
  const zip::PlacedRecord& record = known_.front().place;
  std::uint32_t crc = 0;
  std::vector<std::byte> buffer;
  auto next = floats_.begin();
  for (std::uint64_t begin = 0; begin < record.size_bytes; begin += buffer.size()) {
    std::uint64_t end = std::min<std::uint64_t>(begin + kBufferBytes, record.size_bytes);
    // A float is not cut.
    const auto last = std::lower_bound(next, floats_.end(), end);
    if (last != next) end = std::max(end, *std::prev(last) + sizeof(double));
    buffer.resize(static_cast<std::size_t>(end - begin));
    file.read(record.data_offset + begin, buffer);
    for (; next != last; ++next) {
      std::ranges::reverse(std::span(buffer).subspan(static_cast<std::size_t>(*next - begin), sizeof(double)));
    }
    file.write(record.data_offset + begin, buffer);
    crc = crc32(crc, buffer);
  }
  return crc;
}

void Ending::finish_storage(const io::File& file, const zip::PlacedRecord& record, const std::string& name,
                            Storage& storage) {
  const bool known = storage.taken != 0 || storage.size_bytes == 0;
  // What no write has given is what an earlier run left.
  storage.crc = known ? storage.crc ^ crc32_of_zeros(storage.size_bytes) : crc_of(file, record);
  std::string text;
  zip::append_local_header(text, record, name);
  file.write(record.header_offset, bytes_of_text(text));
  text.clear();
  zip::append_descriptor(text, record, storage.crc);
  file.write(record.data_offset + record.size_bytes, bytes_of_text(text));
}

void Ending::write_tail(const io::File& file, std::uint64_t offset) {
  const std::vector<KnownRecord> last = last_records(offset, serialization_id());
  Appender tail(file, offset);
  for (const KnownRecord& record : last) append_record(tail.out(), record);
  const std::uint64_t directory = last.back().place.end();
  std::uint64_t directory_bytes = 0;
  const auto add = [&](const zip::PlacedRecord& record, std::string_view name, std::uint32_t crc) {
    zip::append_central(tail.out(), record, name, crc);
    directory_bytes += zip::central_bytes(record, name);
  };
  for (const KnownRecord& record : known_) add(record.place, record.name, record.crc);
  for_each_storage([&](const zip::PlacedRecord& record, const std::string& name, Storage& storage) {
    add(record, name, storage.crc);
  });
  for (const KnownRecord& record : last) add(record.place, record.name, record.crc);
  zip::append_end(tail.out(), directory, directory_bytes, known_.size() + storages_.size() + last.size());
  tail.flush();
}

std::string Ending::serialization_id() const {
  std::uint64_t names = 0, contents = 0;
  const auto add = [&](std::string_view name, std::uint32_t crc) {
    combine(names, crc32(0, bytes_of_text(name)));
    combine(contents, crc);
  };
  for (const KnownRecord& record : known_) add(record.name, record.crc);
  for (std::size_t key = 0; key < storages_.size(); ++key) add(storage_name(key), storages_[key].crc);
  return digits(names) + digits(contents);
}

KnownRecord make_record(std::uint64_t offset, std::string_view name, std::string content) {
  std::string full = std::string(kRoot).append(name);
  const zip::PlacedRecord place = zip::place_record(offset, full, content.size());
  const std::uint32_t crc = crc32(0, bytes_of_text(content));
  return {.name = std::move(full), .content = std::move(content), .place = place, .crc = crc};
}

void append_record(std::string& out, const KnownRecord& record) {
  zip::append_local_header(out, record.place, record.name);
  out += record.content;
  zip::append_descriptor(out, record.place, record.crc);
}

}  // namespace mq::formats::torch
